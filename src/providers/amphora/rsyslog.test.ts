import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderRsyslogConf } from './rsyslog.ts';

const options = {
  admin_log_targets: [
    { host: '192.0.2.17', port: 10_514 },
    { host: '192.51.100.4', port: 10_514 },
  ],
  tenant_log_targets: [
    { host: '192.0.2.7', port: 20_514 },
    { host: '192.51.100.9', port: 20_514 },
  ],
  log_protocol: 'UDP',
  log_retry_count: 5,
  log_retry_interval: 2,
  log_queue_size: 10_000,
  forward_all_logs: false,
  disable_local_log_storage: false,
  user_log_facility: 0,
  administrative_log_facility: 1,
};

/** Without what rsyslog reads over. */
const meaning = (text: string): string => text.replaceAll(/\s+/gu, ' ').trim();

const action = (target: string, port: number, more = ''): string =>
  `action(type="omfwd" target="${target}" port="${port}" protocol="UDP" action.resumeRetryCount="5" action.resumeInterval="2" ${more})`;
const later = 'action.execOnlyWhenPreviousIsSuspended="on"';
const head = (name: string): string => `ruleset(name="${name}" queue.type="linkedList" queue.size="10000") {`;

test("rsyslog is told what upstream's template tells it", () => {
  assert.equal(
    meaning(renderRsyslogConf(options)),
    meaning(`
      ${head('tenant_forwarding')} ${action('192.0.2.7', 20_514)} ${action('192.51.100.9', 20_514, later)} }
      local0.=info call tenant_forwarding
      ${head('admin_forwarding')} ${action('192.0.2.17', 10_514)} ${action('192.51.100.4', 10_514, later)} }
      local1.* call admin_forwarding`),
  );
});

test('all logs, other facilities, nothing kept', () => {
  const change = { ...options, forward_all_logs: true, disable_local_log_storage: true, user_log_facility: 3 };
  const text = renderRsyslogConf(change);
  assert.match(text, /^local3\.=info call tenant_forwarding$/mu);
  assert.match(text, /^\*\.\*;local3\.none call admin_forwarding$/mu);
  assert.ok(text.endsWith('\n*.* stop\n'));
});

test('without receivers nothing is forwarded', () => {
  assert.equal(renderRsyslogConf({ ...options, admin_log_targets: [], tenant_log_targets: [] }), '');
});

test('a host cannot be more than a host', () => {
  assert.throws(() => renderRsyslogConf({ ...options, tenant_log_targets: [{ host: 'a" action(type="x', port: 1 }] }), TypeError);
});
