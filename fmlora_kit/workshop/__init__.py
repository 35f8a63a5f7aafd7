"""The workshop: one afternoon in which participants write the heart of FM-LoRA themselves.

`checks` say what a participant's function does wrong; the notebooks in ``notebooks/workshop`` ask
them. The room stands right of everything: it may import every other one, and only `commands` may
import it.
"""

__all__: list[str] = []
