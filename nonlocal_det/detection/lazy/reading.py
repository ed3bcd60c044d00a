"""A config that knows which of its keys were read, so that none is lost in a translation."""

import copy
from collections.abc import Mapping
from typing import Any

from detectron2.config import CfgNode


class ReadConfig:
    """A full config whose keys are read as attributes; tuples become lists, as in a LazyConfig.

    Args:
        node: a config, or a part of one.
        prefix: of the part's keys, with a dot at its end.
        read: the keys that were read, shared by all parts.

    Example:
        >>> cfg = ReadConfig(CfgNode({"SEED": 1, "MODEL": {"MASK_ON": True}}))
        >>> cfg.MODEL.MASK_ON, cfg.unread(CfgNode({"SEED": -1, "MODEL": {"MASK_ON": False}}))
        (True, {'SEED': 1})
    """

    def __init__(self, node: CfgNode, prefix: str = "", read: set[str] | None = None) -> None:
        self._node = node
        self._prefix = prefix
        self._read: set[str] = set() if read is None else read

    def __getattr__(self, key: str) -> Any:
        """The value of a key, or the part of that name."""
        value = self._node[key]
        if isinstance(value, CfgNode):
            return ReadConfig(value, f"{self._prefix}{key}.", self._read)
        self._read.add(self._prefix + key)
        return list(value) if isinstance(value, tuple) else copy.deepcopy(value)

    def choose(self, key: str, choices: Mapping[str, Any]) -> Any:
        """What a key's value stands for.

        Raises:
            ValueError: it is none of the choices.
        """
        value = getattr(self, key)
        if value not in choices:
            raise ValueError(
                f"{self._prefix}{key}={value!r} has no LazyConfig form here; it has for "
                f"{', '.join(map(repr, choices))}"
            )
        return choices[value]

    def unread(self, default: CfgNode) -> dict[str, Any]:
        """The keys that nobody has read though their values are not the default.

        Args:
            default: has at least the keys of this config.
        """
        found: dict[str, Any] = {}
        for key, value in self._node.items():
            name = self._prefix + key
            if isinstance(value, CfgNode):
                found |= ReadConfig(value, f"{name}.", self._read).unread(default[key])
            elif name not in self._read and value != default[key]:
                found[name] = value
        return found
