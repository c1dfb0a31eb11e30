"""A variable of each type."""

VALUES = {
    'null': None,
    'boolean': True,
    'integer': 9007199254740993,
    'real': 0.1,
    'text': '€ 😀 \0 "',
    'bytes': b'\x00\xff\x80',
    'list': [1, 2.5, 'é', None, [False]],
    'map': {'large': -9007199254740993, 'empty': {}},
}
