/** What a start says when it cannot go on: one sentence, an exit code, and nothing half made. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openDatabase } from '../../src/db/database.ts';
import { migrate } from '../../src/db/migrate.ts';
import { freePort, signIn, startOctavia, until } from '../support/octavia.ts';

const entry = fileURLToPath(new URL('../../src/main/all.ts', import.meta.url));

/** No amphorae: these tests are about the start. */
const noop = {
  OS_CONTROLLER_WORKER__COMPUTE_DRIVER: 'compute_noop_driver',
  OS_CONTROLLER_WORKER__NETWORK_DRIVER: 'network_noop_driver',
  OS_CONTROLLER_WORKER__AMPHORA_DRIVER: 'amphora_noop_driver',
  OS_HEALTH_MANAGER__BIND_PORT: '0',
};

const folder = (t: TestContext): string => {
  const path = mkdtempSync(join(tmpdir(), 'os-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
};

/** Starts and waits for the end, which must come. */
async function refused(env: Readonly<Record<string, string>>, uid?: number): Promise<{ code: number | null; text: string }> {
  const bind = `127.0.0.1:${await freePort()}`;
  const child = spawn(process.execPath, [entry], {
    env: { ...process.env, OCTAVIA_CONFIG: '', OCTAVIA_BIND: bind, ...noop, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const patience = setTimeout(() => child.kill('SIGKILL'), 30_000);
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  clearTimeout(patience);
  return { code, text: text.trim() };
}

/** One line, one sentence. */
const isOneSentence = (text: string): boolean => !text.includes('\n') && /[.!]$/u.test(text) && !/\bat \S+:\d+/u.test(text);

test('a port that is taken: says which, and makes nothing', async (t) => {
  const other = createServer();
  const port = await freePort();
  await new Promise<void>((resolve) => other.listen(port, '127.0.0.1', resolve));
  t.after(() => other.close());
  const dir = join(folder(t), 'state');
  const { code, text } = await refused({ OCTAVIA_STATE_DIR: dir, OCTAVIA_BIND: `127.0.0.1:${port}` });
  assert.equal(code, 1);
  assert.ok(isOneSentence(text), text);
  assert.match(text, new RegExp(`Port ${port} .*OCTAVIA_BIND`, 'u'));
  assert.equal(existsSync(dir), false);
});

test('a second start on the same state is refused, and the first goes on', async (t) => {
  const octavia = await startOctavia(t, { env: noop });
  const { code, text } = await refused({ OCTAVIA_STATE_DIR: octavia.state_dir });
  assert.equal(code, 1);
  assert.ok(isOneSentence(text), text);
  assert.match(text, new RegExp(`process ${octavia.pid()}\\b.*OCTAVIA_STATE_DIR`, 'u'));
  assert.equal((await fetch(`${octavia.base_url}/healthcheck`)).status, 200);
});

test('after a kill -9 the state can be taken again', async (t) => {
  const octavia = await startOctavia(t, { env: noop });
  await octavia.kill();
  assert.ok((await octavia.start()) < 20_000);
});

test(
  'a state folder that cannot be written',
  { skip: process.getuid?.() === 0 ? false : 'only root can start as somebody else' },
  async (t) => {
    const dir = folder(t);
    chmodSync(dir, 0o555);
    const { code, text } = await refused({ OCTAVIA_STATE_DIR: join(dir, 'state'), HOME: dir }, 65_534);
    assert.equal(code, 1);
    assert.ok(isOneSentence(text), text);
    assert.match(text, /EACCES.*OCTAVIA_STATE_DIR/u);
  },
);

test('a state folder that is a file', async (t) => {
  const path = join(folder(t), 'state');
  writeFileSync(path, '');
  const { code, text } = await refused({ OCTAVIA_STATE_DIR: path });
  assert.equal(code, 1);
  assert.ok(isOneSentence(text), text);
});

test('PostgreSQL that cannot be reached: says so without the password', async (t) => {
  const port = await freePort();
  const { code, text } = await refused({
    OCTAVIA_STATE_DIR: folder(t),
    OS_DATABASE__CONNECTION: `postgresql://octavia:hush-hush@127.0.0.1:${port}/octavia`,
  });
  assert.equal(code, 1);
  assert.ok(isOneSentence(text), text);
  assert.match(text, /database/iu);
  assert.doesNotMatch(text, /hush/u);
});

test('a database of a newer version is left alone', async (t) => {
  const dir = folder(t);
  mkdirSync(dir, { recursive: true });
  const db = openDatabase({ url: `sqlite://${join(dir, 'octavia.db')}` });
  await migrate(db, [{ version: 9999, name: 'the future', statements: [] }]);
  await db.close();
  const { code, text } = await refused({ OCTAVIA_STATE_DIR: dir });
  assert.equal(code, 1);
  assert.ok(isOneSentence(text), text);
  assert.match(text, /9999|newer/u);
});

test('noauth beyond loopback is refused unless it is forced', async (t) => {
  const env = { OCTAVIA_STATE_DIR: folder(t), OS_API_SETTINGS__AUTH_STRATEGY: 'noauth', OCTAVIA_BIND: `0.0.0.0:${await freePort()}` };
  const { code, text } = await refused(env);
  assert.equal(code, 1);
  assert.match(text, /loopback.*allow_noauth_beyond_loopback/u);
});

test('a configuration that makes no sense names file, option and value', async (t) => {
  const dir = folder(t);
  const file = join(dir, 'mine.conf');
  writeFileSync(file, '[health_manager]\nheartbeat_interval = soon\n');
  const { code, text } = await refused({ OCTAVIA_STATE_DIR: join(dir, 'state'), OCTAVIA_CONFIG: file });
  assert.equal(code, 1);
  assert.ok(isOneSentence(text), text);
  assert.match(text, /mine\.conf.*heartbeat_interval.*soon/u);
});

test('a deep path works, and secrets in the state folder are for its owner only', async (t) => {
  const deep = join(folder(t), ...Array.from({ length: 12 }, (_, index) => `a-rather-long-folder-name-${index}`));
  mkdirSync(deep, { recursive: true });
  const octavia = await startOctavia(t, { env: noop, state_dir: join(deep, 'state') });
  assert.equal((await fetch(`${octavia.base_url}/healthcheck`)).status, 200);
  for (const name of readdirSync(octavia.state_dir)) {
    const { mode } = statSync(join(octavia.state_dir, name));
    assert.equal(mode & 0o077 & (statSync(join(octavia.state_dir, name)).isDirectory() ? 0 : 0o077), 0, `${name} is readable by others`);
  }
  assert.equal(statSync(octavia.state_dir).mode & 0o077, 0);
});

test('secrets encrypted with another key: says what to do, and a new key is taken beside the old one', async (t) => {
  const octavia = await startOctavia(t, { env: noop });
  const client = await signIn(octavia);
  const body = { payload: 'kept', payload_content_type: 'text/plain' };
  const { secret_ref } = await client.call<{ secret_ref: string }>('POST', '/key-manager/v1/secrets', body);
  await octavia.stop();
  const [old, next] = [readFileSync(join(octavia.state_dir, 'secrets.key'), 'utf8').trim(), 'a-new-key-of-more-than-thirty-two-characters'];
  const { code, text } = await refused({ OCTAVIA_STATE_DIR: octavia.state_dir, OS_CERTIFICATES__SECRETS_KEYS: next });
  assert.equal(code, 1);
  assert.match(text, /^The secrets in the database are encrypted with another key: .*secrets_keys/u);
  assert.ok(isOneSentence(text) && !text.includes(next) && !text.includes(old), text);
  const short = await refused({ OCTAVIA_STATE_DIR: octavia.state_dir, OS_CERTIFICATES__SECRETS_KEYS: 'too-short-to-be-a-key' });
  assert.equal(short.code, 1);
  assert.ok(isOneSentence(short.text) && !short.text.includes('too-short'), short.text);

  // First behind the old one, then in front of it, then alone.
  for (const keys of [`${old},${next}`, `${next}, ${old}`, next]) {
    const again = await startOctavia(t, { env: { ...noop, OS_CERTIFICATES__SECRETS_KEYS: keys }, state_dir: octavia.state_dir });
    const answer = await (await signIn(again)).send('GET', `${new URL(secret_ref).pathname}/payload`).catch((error: unknown) => error);
    // What comes back is no JSON, so the client of the tests quotes it.
    assert.match(String(answer), /kept/u);
    if (keys.startsWith(`${next},`))
      await until(() => again.output().includes('secrets were encrypted with the first key'), 'all secrets are encrypted anew');
    await again.stop();
  }
});
