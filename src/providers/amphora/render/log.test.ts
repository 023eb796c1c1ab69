import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  sampleAmphora,
  sampleListener,
  sampleLoadBalancer,
  samplePool,
  sampleSettings,
  sampleTree,
} from '../../../../test/support/sample-trees.ts';
import { renderHaproxy } from './haproxy.ts';
import { frontendLogLines } from './log.ts';
import type { RenderSettings } from './settings.ts';

const pipe = { kind: 'pipe', descriptor: 3 } as const;
const syslog = { kind: 'syslog', address: '/run/rsyslog/octavia/log' } as const;
const logLines = (change: Partial<RenderSettings>): readonly string[] => {
  const tree = sampleTree({ listeners: [sampleListener()], pools: [samplePool()] });
  const { text } = renderHaproxy(tree, sampleAmphora(), { ...sampleSettings, user_log_format: '%f', ...change });
  return text
    .split('\n')
    .filter((line) => /^\s+(?:log|log-\S+|no log)\b/u.test(line))
    .map((line) => line.trim());
};

test("our agent reads the listeners' lines alone, with the header of syslog", () => {
  const expected = [`log-send-hostname amphora-${sampleAmphora().id}`, 'log fd@3 len 2048 format rfc3164 local5', 'log-format %f'];
  assert.deepEqual(logLines({ log_target: pipe, user_log_facility: 5 }), expected);
});

test("upstream's rsyslog gets both logs of all proxies", () => {
  assert.deepEqual(logLines({ log_target: syslog }), [
    'log /run/rsyslog/octavia/log local0',
    'log /run/rsyslog/octavia/log local1 notice',
    'log global',
    'log-format %f',
  ]);
});

test('without logs of connections there is no format that HAProxy would fill in for nobody', () => {
  assert.deepEqual(logLines({ log_target: pipe, connection_logging: false }), []);
  assert.deepEqual(logLines({ log_target: null }), []);
  assert.deepEqual(logLines({ log_target: syslog, connection_logging: false }), [
    'log /run/rsyslog/octavia/log local0',
    'log /run/rsyslog/octavia/log local1 notice',
  ]);
});

test('fields of certificates are asked for where there can be some', () => {
  const settings = { ...sampleSettings, log_target: pipe, user_log_format: '%[ssl_c_verify] %{+Q}[ssl_c_s_dn] %[ssl_c_i_dn]' };
  const format = (protocol: 'HTTP' | 'TERMINATED_HTTPS'): string | undefined =>
    frontendLogLines(sampleLoadBalancer(), sampleListener({ protocol }), settings).at(-1)?.tokens[1];
  assert.equal(format('TERMINATED_HTTPS'), settings.user_log_format);
  assert.equal(format('HTTP'), '- "" %[ssl_c_i_dn]');
});

test('what only HTTP has is a dash elsewhere, and percent signs of ids are no variables', () => {
  const format = (protocol: 'TCP' | 'HTTP'): string | undefined => {
    const settings = { ...sampleSettings, log_target: pipe, user_log_format: '{{ project_id }} {{lb_id}} %r %{+Q}r %rc %ST %{+Q}ST %b' };
    const lb = sampleLoadBalancer({ project_id: '%b' });
    return frontendLogLines(lb, sampleListener({ protocol }), settings).at(-1)?.tokens[1];
  };
  const { id } = sampleLoadBalancer();
  assert.equal(format('HTTP'), `%%b ${id} %r %{+Q}r %rc %ST %{+Q}ST %b`);
  assert.equal(format('TCP'), `%%b ${id} - - %rc - - %b`);
});
