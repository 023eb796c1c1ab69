import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadBetween } from './load.ts';
import { renamedFamilies } from './names.ts';
import { gauge, translateLine } from './translate.ts';

test('there are the 142 families of the documentation, and none twice', () => {
  const names = [...renamedFamilies.values()].map((family) => family.name);
  assert.equal(names.length, 142);
  assert.equal(new Set(names).size, 142);
  const count = (prefix: string) => names.filter((name) => name.startsWith(`octavia_${prefix}_`)).length;
  assert.deepEqual(['loadbalancer', 'memory_pool', 'listener', 'pool', 'member'].map(count), [28, 3, 27, 44, 40]);
});

const lines: readonly (readonly [line: string, expected: string | undefined])[] = [
  ['# HELP haproxy_frontend_bytes_in_total Total bytes.', '# HELP octavia_listener_bytes_in_total Total bytes.'],
  ['# TYPE haproxy_backend_active_servers gauge', '# TYPE octavia_pool_active_members gauge'],
  ['haproxy_process_max_connections 500', 'octavia_loadbalancer_max_connections 500'],
  ['haproxy_process_pool_used_bytes 7', 'octavia_memory_pool_used_bytes 7'],
  ['haproxy_frontend_status{proxy="L",state="UP"} 1', 'octavia_listener_status{listener="L",state="UP"} 1'],
  ['haproxy_backend_server_aborts_total{proxy="P:L"} 3', 'octavia_pool_member_aborts_total{pool="P:L"} 3'],
  ['haproxy_server_server_aborts_total{proxy="P:L",server="M"} 3', 'octavia_member_server_aborts_total{pool="P:L",member="M"} 3'],
  [
    'haproxy_server_http_responses_total{proxy="P:L",server="M",code="2xx"} 9',
    'octavia_member_http_responses_total{pool="P:L",member="M",code="2xx"} 9',
  ],
  ['haproxy_frontend_status{proxy="prometheus-exporter-internal-endpoint",state="UP"} 1', undefined],
  ['haproxy_backend_status{proxy="prometheus-exporter-internal",state="UP"} 1', undefined],
  ['haproxy_process_nbthread 1', undefined],
  ['# HELP haproxy_process_nbthread Number of threads', undefined],
  ['go_info 1', undefined],
  ['', undefined],
];
for (const [line, expected] of lines) test(`translates ${line || 'an empty line'}`, () => assert.equal(translateLine(line), expected));

test('load is a percentage of the machine, whatever the counters do', () => {
  const at = (at_ms: number, cpu_ms: number) => ({ at_ms, cpu_ms, memory_bytes: 1 });
  assert.equal(loadBetween(at(0, 0), at(1000, 0)).cpu, 0);
  assert.equal(loadBetween(at(0, 500), at(1000, 100)).cpu, 0);
  assert.equal(loadBetween(at(0, 0), at(1, 1_000_000)).cpu, 100);
  assert.equal(gauge('a', 'b', 1.5), '# HELP a b\n# TYPE a gauge\na 1.5\n');
});
