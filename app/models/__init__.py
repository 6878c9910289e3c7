"""Which pre-trained models there are: the starter, folders of the user's, ids of the hub. Torch-free."""
