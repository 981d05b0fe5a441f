"""The screen of hyperexport: choose instances, say how, watch them leave.

``app.py`` is the way in. All that it needs from the world goes through `port.ScreenPort`.
"""
