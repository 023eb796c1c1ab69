import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseOsloConf, substitute } from '../../lib/oslo-conf.ts';
import { Secret } from '../../lib/secret.ts';
import { type AgentFileSettings, bootFiles, renderAgentConf } from './agent-files.ts';

const id = '60000000-0000-4000-8000-000000000001';
const settings: AgentFileSettings = {
  debug: false,
  haproxy_amphora: {
    base_path: '/var/lib/octavia',
    base_cert_dir: '/var/lib/octavia/certs',
    bind_host: '::',
    bind_port: 9443,
    haproxy_cmd: '/usr/sbin/haproxy',
  },
  amphora_agent: {
    agent_server_ca: '/etc/octavia/certs/client_ca.pem',
    agent_server_cert: '/etc/octavia/certs/server.pem',
    agent_server_network_dir: null,
    agent_request_read_timeout: 180,
    agent_tls_protocol: 'TLSv1.2',
    amphora_udp_driver: 'keepalived_lvs',
    user_log_facility: 0,
    administrative_log_facility: 1,
    admin_log_targets: [],
    tenant_log_targets: [
      { host: '100.64.0.9', port: 514 },
      { host: 'fd00::9', port: 1514 },
    ],
    log_protocol: 'UDP',
    log_retry_count: 5,
    log_retry_interval: 2,
    log_queue_size: 10_000,
    forward_all_logs: false,
    disable_local_log_storage: false,
  },
  health_manager: {
    controller_ip_port_list: [
      { host: '100.64.0.1', port: 5555 },
      { host: 'fd00::1', port: 5556 },
    ],
    heartbeat_interval: 1,
    heartbeat_key: new Secret('key'),
  },
  client_ca: 'CA',
  has_rsyslog: false,
};

const expected = `[DEFAULT]
debug = false
use_syslog = true
syslog_log_facility = LOG_LOCAL1

[haproxy_amphora]
base_cert_dir = /var/lib/octavia/certs
base_path = /var/lib/octavia
bind_host = ::
bind_port = 9443
haproxy_cmd = /usr/sbin/haproxy
user_log_facility = 0
administrative_log_facility = 1

[health_manager]
controller_ip_port_list = 100.64.0.1:5555, [fd00::1]:5556
heartbeat_interval = 1
heartbeat_key = key

[amphora_agent]
agent_server_ca = /etc/octavia/certs/client_ca.pem
agent_server_cert = /etc/octavia/certs/server.pem
agent_request_read_timeout = 180
agent_tls_protocol = TLSv1.2
amphora_id = ${id}
amphora_udp_driver = keepalived_lvs
tenant_log_targets = 100.64.0.9:514, [fd00::9]:1514
log_protocol = UDP
log_retry_count = 5
log_retry_interval = 2
log_queue_size = 10000
forward_all_logs = false
disable_local_log_storage = false

[controller_worker]
loadbalancer_topology = SINGLE
`;

test('an agent is told what upstream tells it', () => {
  assert.equal(renderAgentConf({ topology: 'SINGLE' }, { id }, settings), expected);
});

test('secrets are readable for root only', () => {
  const files = bootFiles({ topology: 'SINGLE' }, { id }, { pem: new Secret('PEM') }, settings);
  assert.deepEqual(
    files.map(({ path, mode, contents }) => [path, mode.toString(8), contents]),
    [
      ['/etc/octavia/amphora-agent.conf', '600', expected],
      ['/etc/octavia/certs/server.pem', '600', 'PEM'],
      ['/etc/octavia/certs/client_ca.pem', '644', 'CA'],
    ],
  );
});

test('where there is rsyslog, it is told where logs go', () => {
  const files = bootFiles({ topology: 'SINGLE' }, { id }, { pem: new Secret('PEM') }, { ...settings, has_rsyslog: true });
  const file = files.find(({ path }) => path === '/etc/rsyslog.d/10-rsyslog.conf');
  assert.equal(file?.mode, 0o644);
  assert.match(file?.contents ?? '', /target="fd00::9"\n {9}port="1514"/u);
});

test('a heartbeat key is read back as it was, whatever is in it', () => {
  for (const key of [
    '$a$$b',
    '"quoted"',
    "'single'",
    ' blanks ',
    '# no comment',
    '; nor this',
    'a=b',
    '[group]',
    "mixed'",
    '"',
    '\\$x',
    '\\\\$x',
    '${group.x}',
  ]) {
    const change = { ...settings, health_manager: { ...settings.health_manager, heartbeat_key: new Secret(key) } };
    const entries = parseOsloConf(renderAgentConf({ topology: 'SINGLE' }, { id }, change), 'amphora-agent.conf');
    const found = entries.find((entry) => entry.name === 'heartbeat_key')?.value ?? '';
    assert.equal(
      substitute(found, (reference) => assert.fail(reference)),
      key,
    );
  }
});

test('a line break in a value is refused, it would be another option', () => {
  const change = { ...settings, health_manager: { ...settings.health_manager, heartbeat_key: new Secret('a\nb = c') } };
  assert.throws(() => renderAgentConf({ topology: 'SINGLE' }, { id }, change), TypeError);
});
