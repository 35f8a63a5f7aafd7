"""The programs behind `python -m fmlora_kit`: arguments in, a call, a sentence out."""
