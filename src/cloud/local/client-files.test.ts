import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { parse } from 'yaml';
import { Secret } from '../../lib/secret.ts';
import { writeClientFiles } from './client-files.ts';

const passwords = { admin: new Secret("it's $HOME `id` \\ \n: x"), demo: new Secret("d'emo #1: $(id)") };

test('clouds.yaml names both clouds, and odd passwords come through it', () => {
  const { clouds } = parse(writeClientFiles({ base_url: 'http://127.0.0.1:9876/', passwords }).clouds_yaml);
  assert.deepEqual(Object.keys(clouds), ['octavia', 'octavia-admin']);
  assert.equal(clouds.octavia.auth.auth_url, 'http://127.0.0.1:9876/identity/v3');
  assert.equal(clouds.octavia.auth.password, passwords.demo.reveal());
  assert.equal(clouds['octavia-admin'].auth.password, passwords.admin.reveal());
});

test('a shell takes odd passwords from openrc as they are', () => {
  const { openrc } = writeClientFiles({ base_url: 'http://127.0.0.1:9876', passwords });
  const { stdout } = spawnSync('sh', ['-c', `${openrc}\nprintf %s "$OS_PASSWORD"`], { encoding: 'utf8' });
  assert.equal(stdout, passwords.demo.reveal());
});
