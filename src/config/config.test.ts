import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { loadConfig, withMutable } from './load.ts';
import { allOptions } from './table.ts';
import { writeConf, writeEffective } from './write.ts';

/** Loads a configuration of the given text with a state folder of its own. */
function load(t: TestContext, text: string, more: Parameters<typeof loadConfig>[0] = {}): ReturnType<typeof loadConfig> {
  const folder = mkdtempSync(join(tmpdir(), 'config-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'given.conf');
  writeFileSync(file, text);
  const overrides = { ...more.overrides, local: { state_dir: folder, ...more.overrides?.local } };
  return loadConfig({ files: [file], env: {}, ...more, overrides });
}

test('without any file this machine is the cloud, and paths are below the state folder', (t) => {
  const config = load(t, '');
  assert.equal(config.local.enabled, true);
  assert.equal(config.api_settings.auth_strategy, 'embedded');
  assert.equal(config.database.connection.reveal(), `sqlite:///${config.local.state_dir}/octavia.db`);
  assert.equal(config.health_manager.heartbeat_key, null);
});

test('a file with a Keystone has the defaults of upstream', (t) => {
  const config = load(t, '[keystone_authtoken]\nauth_url = http://keystone/v3\n');
  assert.equal(config.local.enabled, false);
  assert.equal(config.api_settings.auth_strategy, 'keystone');
  assert.equal(config.health_manager.heartbeat_interval, 10);
  assert.equal(config.controller_worker.compute_driver, 'compute_nova_driver');
});

test('each kind of option is read', (t) => {
  const config = load(
    t,
    `[DEFAULT]
debug = Yes
[api_settings]
bind_host = "::"
enabled_provider_drivers = amphora: 'The first: one', octavia: another
[health_manager]
heartbeat_key = s3cr$$et
controller_ip_port_list = 10.0.0.1:5555,
  [fd00::1]:5556
[keepalived_vrrp]
vrrp_advert_int = 0.5
[controller_worker]
amp_boot_network_list = a, b
`,
  );
  assert.equal(config.DEFAULT.debug, true);
  assert.deepEqual(config.api_settings.enabled_provider_drivers, { amphora: 'The first: one', octavia: 'another' });
  assert.equal(config.health_manager.heartbeat_key?.reveal(), 's3cr$et');
  assert.deepEqual(config.health_manager.controller_ip_port_list, [
    { host: '10.0.0.1', port: 5555 },
    { host: 'fd00::1', port: 5556 },
  ]);
  assert.equal(config.keepalived_vrrp.vrrp_advert_int, 0.5);
  assert.deepEqual(config.controller_worker.amp_boot_network_list, ['a', 'b']);
});

test('an error is one sentence with file, line, group, option and value; a secret is not shown', (t) => {
  const wrong =
    (text: string): (() => unknown) =>
    () =>
      load(t, text);
  assert.throws(
    wrong('[health_manager]\nbind_port = many\n'),
    /given\.conf:2: \[health_manager\] bind_port = "many" is not a whole number\.$/,
  );
  assert.throws(wrong('[health_manager]\nbind_port = 70000\n'), /is more than 65535\.$/);
  assert.throws(wrong('[api_settings]\nauth_strategy = trust\n'), /is none of keystone, /);
  assert.throws(wrong('[health_manager]\ncontroller_ip_port_list = fd00::1\n'), /has the part "fd00::1" that is not host:port/);
  assert.throws(wrong('[health_manager]\nheartbeat_key = hunter$two\n'), (error: Error) => !error.message.includes('hunter'));
  assert.throws(
    () => loadConfig({ files: ['/nonexistent.conf'], env: {} }),
    /The configuration \/nonexistent\.conf cannot be read \(ENOENT\)\./,
  );
});

test('references reach the own group, the default group and others, and a circle is an error', (t) => {
  const text = `[DEFAULT]
host = alpha
[certificates]
endpoint = http://$host:\${api_settings.bind_port}/$endpoint_type
endpoint_type = internal
`;
  assert.equal(load(t, text).certificates.endpoint, 'http://alpha:9876/internal');
  assert.throws(() => load(t, '[certificates]\nendpoint = $region_name\nregion_name = ${certificates.endpoint}\n'), /refers to itself/);
  assert.throws(() => load(t, '[certificates]\nendpoint = $nothing\n'), /refers to \$nothing/);
});

test('overrides win over the environment, and it over files', (t) => {
  const text = '[api_settings]\nbind_port = 1\npagination_max_limit = 5\n';
  const env = { OCTAVIA_BIND: '[::1]:2', OS_API_SETTINGS__PAGINATION_MAX_LIMIT: '6' };
  const config = load(t, text, { env, overrides: { api_settings: { bind_port: 3 } } });
  assert.equal(config.api_settings.bind_port, 3);
  assert.equal(config.api_settings.bind_host, '::1');
  assert.equal(config.api_settings.pagination_max_limit, '6');
  assert.throws(() => load(t, '', { env: { OCTAVIA_BIND: '9876' } }), /OCTAVIA_BIND is "9876"; it must be host:port/);
});

test('unknown options of known groups are told, foreign groups and the options of oslo libraries are not', (t) => {
  const told: string[] = [];
  load(t, '[DEFAULT]\ntransport_url = x\n[oslo_messaging]\ntopic = y\n[api_settings]\nbind_prot = 1\n', {
    warn: (sentence) => told.push(sentence),
  });
  assert.equal(told.length, 1);
  assert.match(told[0] ?? '', /\[api_settings\] bind_prot is not an option/);
});

test('the effective configuration read again is the same, and shows secrets only when asked', (t) => {
  const first = load(
    t,
    '[health_manager]\nheartbeat_key = "$$a\'b"\n[haproxy_amphora]\nuser_log_format = " %f $$x "\n[DEFAULT]\nhost = "quoted"\n',
  );
  assert.ok(!writeEffective(first).includes("a'b"));
  const again = load(t, writeEffective(first, { secrets: true }), { overrides: { local: { state_dir: first.local.state_dir } } });
  assert.deepEqual(writeEffective(again, { secrets: true }), writeEffective(first, { secrets: true }));
  assert.equal(again.haproxy_amphora.user_log_format, ' %f $x ');
  assert.equal(again.health_manager.heartbeat_key?.reveal(), "$a'b");
});

test('drawn values are written with their secrets and read before all other files', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'config-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(
    join(folder, 'drawn.conf'),
    writeConf({ health_manager: { heartbeat_key: 'drawn' }, local: { management_cidr: '100.64.0.0/20' } }),
  );
  writeFileSync(join(folder, 'octavia.conf'), '[local]\nmanagement_cidr = 100.65.0.0/20\n');
  const config = loadConfig({ env: { OCTAVIA_STATE_DIR: folder } });
  assert.equal(config.health_manager.heartbeat_key?.reveal(), 'drawn');
  assert.equal(config.local.management_cidr, '100.65.0.0/20');
});

test('only mutable options change while running', (t) => {
  const fresh = load(t, '[health_manager]\nheartbeat_interval = 7\nbind_port = 1\n');
  const next = withMutable(load(t, ''), fresh);
  assert.equal(next.health_manager.heartbeat_interval, 7);
  assert.equal(next.health_manager.bind_port, 5555);
});

test('each option has a sentence, and numbers with a time have a unit', () => {
  for (const { group, name, option } of allOptions()) {
    assert.match(option.doc, /^.{10,}\.$/u, `[${group}] ${name}`);
    if (/_(?:interval|timeout|seconds)$/u.test(name)) assert.ok(option.unit, `[${group}] ${name} has no unit`);
  }
});
