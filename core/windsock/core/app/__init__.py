"""The app layer: the API that people type, over the protocol layer and a transport's `Link`."""
