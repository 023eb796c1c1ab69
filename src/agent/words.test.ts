/** What the agent reads of others: HAProxy's processes, configurations, its own settings, paths. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Refusal } from './answers.ts';
import { certificatePath } from './certificates.ts';
import { listenersOf, statsSocketOf } from './haproxy-config.ts';
import { findRoute } from './router.ts';
import type { Route } from './router.ts';
import { parseSettings } from './settings.ts';
import { parseProcesses } from './unix-socket.ts';

void test('the processes of HAProxy are told apart, old workers and a failed reload too', () => {
  const text = `#<PID>          <type>          <reloads>       <uptime>        <version>
4552            master          2 [failed: 1]   0d00h00m01s     2.6.12-1+deb12u4
# workers
4558            worker          1               0d00h00m01s     2.6.12-1+deb12u4
# old workers
4554            worker          2               0d00h01m01s     2.6.12-1+deb12u4
# programs

`;
  assert.deepEqual(parseProcesses(text), { master: 4552, reloads: 2, failed: 1, worker: 4558, oldWorkers: [4554] });
  assert.equal(parseProcesses(''), undefined);
});

void test('of a configuration only the stats socket and the frontends matter, whoever wrote it', () => {
  const config =
    'global\n    stats socket /run/a.sock mode 600\n\nfrontend l1\n    bind 1.2.3.4:80\n    mode tcp\n\nfrontend prometheus-exporter\n    mode http\n\nbackend p:l1\n    mode http\n';
  assert.equal(statsSocketOf(config), '/run/a.sock');
  assert.deepEqual(listenersOf(config), [{ id: 'l1', mode: 'tcp' }]);
  assert.equal(statsSocketOf('global\n'), undefined);
});

void test('settings have defaults, and what is wrong is named', () => {
  const defaults = { config_dir: '/etc/octavia', state_dir: '/var/lib/octavia' };
  const settings = parseSettings(
    '[amphora_agent]\namphora_id = a\n[health_manager]\ncontroller_ip_port_list = 192.0.2.1:5555,[fd00::1]:5555\nheartbeat_key = $$x\n',
    'f',
    defaults,
  );
  assert.deepEqual(settings.controllers, [
    { host: '192.0.2.1', port: 5555 },
    { host: 'fd00::1', port: 5555 },
  ]);
  assert.deepEqual([settings.bind_port, settings.heartbeat_key, settings.base_cert_dir], [9443, '$x', '/var/lib/octavia/certs']);
  assert.throws(() => parseSettings('[amphora_agent]\n', 'f', defaults), /amphora_id is missing/u);
  const wrong = '[amphora_agent]\namphora_id = a\n[health_manager]\ncontroller_ip_port_list = 192.0.2.1\n';
  assert.throws(() => parseSettings(wrong, 'f', defaults), /"192\.0\.2\.1" is no address:port/u);
});

void test('a path finds its route, its parts decoded, or 404, or 405', () => {
  const route: Route = { method: 'GET', path: '/1.0/x/{id}/y', limit_bytes: 1, handler: async () => ({ status: 200, body: '' }) };
  assert.deepEqual(findRoute([route], 'GET', '/1.0/x/a%2fb/y').params, { id: 'a/b' });
  const refused = (method: string, path: string, status: number) =>
    assert.throws(
      () => findRoute([route], method, path),
      (error) => error instanceof Refusal && error.status === status,
    );
  refused('PUT', '/1.0/x/a/y', 405);
  refused('GET', '/1.0/x//y', 404);
  refused('GET', '/1.0/x/%zz/y', 404);
});

void test('a certificate has a plain name', () => {
  const places = { config_dir: '', state_dir: '', run_dir: '', traffic_netns: '', base_path: '/b', base_cert_dir: '/b/certs' };
  assert.equal(certificatePath(places, 'lb', '0a1b.pem'), '/b/certs/lb/0a1b.pem');
  for (const name of ['../x.pem', '.pem', 'x.crt', 'a/b.pem', 'a..b.pem', '-x.pem', undefined])
    assert.throws(() => certificatePath(places, 'lb', name), Refusal);
});
