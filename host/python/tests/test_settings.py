"""Settings: the defaults are those of lemon.ini, and what is impossible is refused with what would be right."""

import json
import re
import tempfile
import unittest
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from lemon_session_host import CookieSettings, InvalidSettings, Limits, Sessions, Settings, settings

from .support import ROOT


def kebab(section: dict[str, Any]) -> dict[str, Any]:
    return {name.replace('_', '-'): kebab(value) if isinstance(value, dict) else value for name, value in section.items()}


class Defaults(unittest.TestCase):
    def test_defaults_are_those_of_the_rules(self) -> None:
        expected = json.loads((ROOT / 'docs/defaults.json').read_text())
        ours = kebab(asdict(Settings()))
        self.assertEqual(ours.pop('manager'), 'all')
        self.assertEqual(ours | {'reserved': list(ours['reserved'].items())}, expected)
        # The record of the WIT has the fields in this order.
        self.assertEqual(list(ours), list(expected))
        for section in ('cookie', 'limits'):
            self.assertEqual(list(ours[section]), list(expected[section]))

    def test_every_key_of_lemon_ini_is_read_and_has_the_same_default(self) -> None:
        example = (ROOT / 'examples/lemon.ini').read_text().split('\n[storage]')[0]
        keys = re.findall(r'^# ([a-z-]+) =(.*)$', example, re.MULTILINE)
        self.assertGreater(len(keys), 25)
        text = re.sub(r'^# ([a-z-]+ =.*)$', r'\1', example, flags=re.MULTILINE)
        text = text.replace('\nmanager = owners', '')
        self.assertEqual(read(text), Settings())
        named = {one.name.replace('_', '-') for kind in (Settings, CookieSettings, Limits) for one in fields(kind)}
        self.assertEqual(named - {'cookie', 'limits', 'reserved', 'manager'} | {'new-sessions'},
                         {key for key, _ in keys} - {'manager'})

    def test_lemon_ini_is_read(self) -> None:
        secret = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'
        read_ones = read(f'''
            ; a comment
            [session]
            app = shop
            expires = 2h
            touch-after =
            lazy = yes
            cleanup = 0.5
            manager = none
            [session.cookie]
            name = site
            secure = ON
            lifetime = 1.5m
            comment = with = and # in it
            [session.limits]
            value-bytes = 64K
            [session.reserved]
            auth = {secret}
            [storage]
            url = sqlite:x.db
            [server]
            addr = 127.0.0.1:1
        ''')
        cookie = CookieSettings(name='site', secure='on', lifetime=90, comment='with = and # in it')
        self.assertEqual(read_ones, Settings(
            app='shop', expires=7200, lazy=True, cleanup=0.5, manager='none', cookie=cookie,
            limits=Limits(value_bytes=65536), reserved={'auth': secret}))

    def test_mistakes_in_lemon_ini_are_all_named(self) -> None:
        with self.assertRaises(InvalidSettings) as raised:
            read('[session]\nexpire = 5\nexpires = soon\nlazy = maybe\ncleanup = x\n[session.limits]\nvariables = -1\n'
                 'value-bytes = 1G')
        self.assertEqual([problem.partition(':')[0] for problem in raised.exception.problems], [
            '[session] expire', '[session] expires', '[session] lazy', '[session] cleanup', '[session.limits] variables',
            '[session.limits] value-bytes'])


def read(text: str) -> Settings:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'lemon.ini')
        path.write_text(text)
        return Settings.read(path)


class Impossible(unittest.TestCase):
    def test_impossible_settings_are_refused_with_the_messages_of_lemon_session(self) -> None:
        day = 24 * 60 * 60
        cases: list[tuple[dict[str, Any], str]] = [
            ({'app': ''}, "[session] app: the application's name is empty; it must have 1 to 255 characters"),
            ({'app': 'a' * 256}, "[session] app: the application's name has 256 characters; the limit is 255"),
            ({'expires': 0}, '[session] expires: a session lasts at least 1 second'),
            ({'expires': 31 * day}, '[session] expires: 2678400 seconds are more than max-lifetime allows, 2592000; raise that '
                                    'or set it to 0'),
            ({'touch_after': 1441}, '[session] touch-after: 1441 seconds are more than expires, 1440, of which it is a part'),
            ({'renew_after': 30}, '[session] renew-grace: 60 seconds are more than renew-after, 30; a minute is enough for one '
                                  'page'),
            ({'cleanup': 2}, '[session] cleanup: 2 is not a probability: 1 means always, 0 never, 0.01 one start in a hundred'),
            ({'cookie': {'name': 'a b'}}, "[session.cookie] name: 'a b' cannot name a cookie; use letters, digits and "
                                          "!#$%&'*+-.^_`|~"),
            ({'app': 'a b'}, "[session.cookie] name: the application's name 'a b' cannot name a cookie; give the cookie a name "
                             'of its own'),
            ({'cookie': {'name': '__Host-x'}}, "[session.cookie] name: browsers refuse '__Host-x' unless secure is on, path is "
                                               '/ and domain is empty'),
            ({'cookie': {'path': 'x;'}}, "[session.cookie] path: 'x;' is not a path: it begins with / and has at most 1024 "
                                         'printable ASCII characters without ;'),
            ({'cookie': {'domain': '-x'}}, "[session.cookie] domain: '-x' is not the name of a host, as example.org is; leave "
                                           'it empty for this host alone'),
            ({'cookie': {'lifetime': 401 * day}}, '[session.cookie] lifetime: at most 34560000 seconds (400 days), after which '
                                                  'browsers end any cookie'),
            ({'cookie': {'same_site': 'none'}}, '[session.cookie] same-site: browsers refuse SameSite=None without Secure: '
                                                'serve the page over HTTPS and set secure to on'),
            ({'cookie': {'partitioned': True}}, '[session.cookie] partitioned: browsers refuse Partitioned without Secure: '
                                                'serve the page over HTTPS and set secure to on'),
            ({'limits': {'key_length': 256}}, '[session.limits] key-length: 256 is not between 1 and 255 characters'),
            ({'limits': {'variables': 0}}, '[session.limits] variables: 0 variables; a session holds at least 1'),
            ({'limits': {'value_bytes': 5_000_000}}, '[session.limits] value-bytes: 5000000 is not between 1 and session-bytes, '
                                                     '4194304'),
            ({'limits': {'session_bytes': 2**29}}, '[session.limits] session-bytes: 536870912 is not between 1 and 268435456'),
            ({'limits': {'header_bytes': 1}}, "[session.limits] header-bytes: 1 is too small for a session's cookie beside "
                                              'others; at least 256'),
            ({'reserved': {'auth': 'x'}}, '[session.reserved] auth: not the SHA-256 hash of a secret, 64 hexadecimal digits, as '
                                          '`printf %s SECRET | sha256sum` prints it'),
        ]
        for given, message in cases:
            with self.subTest(given=given), self.assertRaises(InvalidSettings) as raised:
                Settings.of(**given)
            self.assertIn(message, raised.exception.problems)

    def test_wrong_types_are_refused(self) -> None:
        for given in ({'expires': '5'}, {'expires': True}, {'expires': -1}, {'lazy': 1}, {'app': None}, {'cookie': 5},
                      {'cache_limiter': 'all'}, {'cookie': {'secure': True}}, {'reserved': ['x']}, {'touch_after': 1.5},
                      {'expire': 5}, {'cookie': {'color': 'red'}}):
            with self.subTest(given=given), self.assertRaises(InvalidSettings):
                Settings.of(**given)

    def test_settings_reach_the_component(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            given = Settings.of(app='shop', lazy=True, cookie={'path': '/shop', 'same_site': 'strict', 'lifetime': 0},
                                limits={'key_length': 3})
            sessions = Sessions(f'sqlite:{folder}/x.db', given)
            session = sessions.start({'wsgi.url_scheme': 'https'})
            self.assertEqual(session.save(), [('cache-control', 'no-store'), ('vary', 'Cookie')])
            self.assertRaises(ValueError, session.set, 'four', 1)
            session['n'] = 1
            (_, cookie), *_ = session.save()
            self.assertRegex(cookie, r'^shop=.{43}\..{4}; Path=/shop; Secure; HttpOnly; SameSite=Strict$')
            sessions.close()

    def test_a_provider_gets_every_setting(self) -> None:
        variables = dict(settings.as_environment(Settings(reserved={'a': '0' * 64}, lazy=True)))
        self.assertEqual(len(variables), 23 + 9 + 6 + 1)
        self.assertEqual(
            [variables[f'LEMON_SESSION_{name}'] for name in ('LAZY', 'EXPIRES', 'COOKIE_HTTP_ONLY', 'TOUCH_AFTER', 'MANAGER',
                                                             'LIMITS_KEY_LENGTH', 'RESERVED')],
            ['true', '1440', 'true', '', 'all', '32', 'a=' + '0' * 64])


if __name__ == '__main__':
    unittest.main()
