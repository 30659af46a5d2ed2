"""The exceptions that flickerscope raises on purpose.

FlickerscopeError
├── SettingsError      an option, or a combination of options, that makes no sense (exit code 2)
├── InputError         a video, array or file that cannot be measured (exit code 1)
│   └── TooShortError  fewer frames than the measurement needs
├── OutputError        a report that cannot be written (exit code 1)
└── DeviceError        a device that this machine does not have (exit code 1)

Every message is one line that names what was wrong and what is allowed.
"""

__all__ = [
    "DeviceError",
    "FlickerscopeError",
    "InputError",
    "OutputError",
    "SettingsError",
    "TooShortError",
]


class FlickerscopeError(Exception):
    """Base of all errors that flickerscope raises on purpose."""


class SettingsError(FlickerscopeError, ValueError):
    """An option, or a combination of options, that makes no sense."""


class InputError(FlickerscopeError, ValueError):
    """A video, array or file that cannot be measured."""


class TooShortError(InputError):
    """Fewer frames than the measurement needs."""


class OutputError(FlickerscopeError, OSError):
    """A report that cannot be written."""


class DeviceError(FlickerscopeError, RuntimeError):
    """A device that this machine does not have."""
