"""The use cases. A flow reads like the sentence that describes it."""
