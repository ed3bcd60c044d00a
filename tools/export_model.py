"""A trained model as TorchScript, ONNX or plain weights; see `nonlocal_det.cli.export`."""

from nonlocal_det.cli.export import main

if __name__ == "__main__":
    main()
