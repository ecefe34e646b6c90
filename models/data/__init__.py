"""Images: archives and folders that users give, digits and photographs at hand, patches, augmentation.

Imports nothing here: reading an archive must not load torch.
"""
