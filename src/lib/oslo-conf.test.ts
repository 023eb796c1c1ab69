import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseOsloConf, readOsloConf, substitute } from './oslo-conf.ts';

/** The assignments of a text as `group.name=value`. */
function read(text: string): string[] {
  return parseOsloConf(text, 'x.conf').map(({ group, name, value }) => `${group}.${name}=${value}`);
}

test('sections, both separators, quotes, dashes and comments are read', () => {
  const text = `
# a comment = no value
; another
[DEFAULT]
debug = true
transport-url: rabbit://a:b@c;d # not a comment
[api_settings]   # the API
bind_host="::"
empty =
`;
  assert.deepEqual(read(text), [
    'DEFAULT.debug=true',
    'DEFAULT.transport_url=rabbit://a:b@c;d # not a comment',
    'api_settings.bind_host=::',
    'api_settings.empty=',
  ]);
});

test('an indented line continues the value, a blank or a new line ends it, a repeated key is kept twice', () => {
  assert.deepEqual(read('[g]\na = 1,\n  2,\n\t3\nb = x\nb = y\r\n'), ['g.a=1,\n2,\n3', 'g.b=x', 'g.b=y']);
  assert.throws(() => read('[g]\na = 1\n\n  2\n'), /x\.conf:4: an indented line/);
});

test('an error names the file and the line', () => {
  assert.throws(() => read('[g]\nnonsense\n'), /x\.conf:2: neither/);
  assert.throws(() => read('a = 1\n'), /x\.conf:1: a stands before the first/);
  assert.throws(() => read('[g\n'), /x\.conf:1: a section/);
  assert.throws(() => read('[g]\n= 1\n'), /x\.conf:2: the name/);
});

test('references are replaced, doubled and escaped dollars are dollars', () => {
  const values: Record<string, string> = { state: '/var', 'local.dir': '/srv' };
  const lookup = (name: string): string => values[name] ?? assert.fail(`asked for ${name}`);
  assert.equal(substitute('$state/a ${local.dir}/b $local.dir', lookup), '/var/a /srv/b /srv');
  assert.equal(substitute('pa$$word \\$state $1 $', lookup), 'pa$word $state $1 $');
});

test('files come in their order, folders after them sorted by name', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'conf-'));
  t.after(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, 'd'));
  await writeFile(join(folder, 'main.conf'), '[g]\na = main\n');
  await writeFile(join(folder, 'd', '20.conf'), '[g]\na = twenty\n');
  await writeFile(join(folder, 'd', '10.conf'), '[g]\na = ten\n');
  await writeFile(join(folder, 'd', 'notes.txt'), 'ignored');
  const entries = readOsloConf({ files: [join(folder, 'main.conf')], dirs: [join(folder, 'd')] });
  assert.deepEqual(
    entries.map((entry) => entry.value),
    ['main', 'ten', 'twenty'],
  );
});
