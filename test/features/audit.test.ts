/** Events of requests for those who audit. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { defaultAuditMap } from '../../src/api/audit/event.ts';
import { loadConfig } from '../../src/config/load.ts';
import { recordingLogger } from '../../src/lib/log.ts';
import { openAudit } from '../../src/main/audit-map.ts';
import { StartRefused } from '../../src/main/state.ts';
import { withApi } from '../support/api.ts';

const SUBNET = 'c55e7725-894c-400e-bd00-57a04ae1e676';

// oxlint-disable-next-line typescript/no-explicit-any
type Event = any;

test('each answered request gives one event: who did what to what, and whether it worked', async (t) => {
  const { log, lines } = recordingLogger();
  const callers = { secret: { user_id: 'u', user_name: 'alice', project_id: 'p', roles: ['admin'], is_admin: true } };
  const api = await withApi(t, { callers, log, audit: { map: defaultAuditMap, ignored: ['HEAD'] } });
  const as = { 'x-auth-token': 'secret', 'user-agent': 'a test' };
  const made = await api.act('POST', '/loadbalancers', { loadbalancer: { vip_subnet_id: SUBNET, name: 'confidential' } }, as);
  const { id } = made.body.loadbalancer;
  const asked: readonly (readonly ['GET' | 'PUT' | 'DELETE' | 'HEAD', string, number, string, string, string])[] = [
    ['GET', '/loadbalancers?name=x', 200, 'read/list', 'service/load-balancer/loadbalancers', 'unknown'],
    ['GET', `/loadbalancers/${id}`, 200, 'read', 'service/load-balancer/loadbalancers/loadbalancer', id],
    ['GET', `/loadbalancers/${id}/stats`, 200, 'read/list', 'service/load-balancer/loadbalancers/loadbalancer/stats', id],
    ['PUT', `/loadbalancers/${id}/failover`, 202, 'update/failover', 'service/load-balancer/loadbalancers/loadbalancer/failover', id],
    ['GET', '/pools/none/members/m', 404, 'read', 'service/load-balancer/pools/pool/members/member', 'm'],
  ];
  for (const [method, path] of asked) await api.call(method, path, undefined, as);
  await api.call('HEAD', '/loadbalancers', undefined, as);
  await api.call('GET', '/loadbalancers');
  await api.call('GET', '/');
  const events: Event[] = lines.filter((line) => line['msg'] === 'audit.http.response').map((line) => line['event']);
  assert.deepEqual(
    events.map((event) => [
      event.action,
      event.target.typeURI,
      event.target.id,
      event.reason.reasonCode,
      event.outcome,
      event.initiator.name,
    ]),
    [
      ['create', 'service/load-balancer/loadbalancers', 'unknown', '201', 'success', 'alice'],
      ...asked.map(([, , status, action, type, target]) => [
        action,
        type,
        target,
        String(status),
        status < 400 ? 'success' : 'failure',
        'alice',
      ]),
      ['read/list', 'service/load-balancer/loadbalancers', 'unknown', '401', 'failure', 'unknown'],
    ],
  );
  const [first] = events;
  assert.deepEqual([first.initiator.id, first.initiator.project_id, first.initiator.host.agent], ['u', 'p', 'a test']);
  assert.deepEqual(first.tags, [`correlation_id?value=${String(made.headers['x-openstack-request-id'])}`]);
  assert.equal(JSON.stringify(events).includes('secret') || JSON.stringify(events).includes('confidential'), false);
});

test('the map of names comes from a file in the form of OpenStack, and one that is missing stops the start', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'audit-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const config = (audit: object) => loadConfig({ env: {}, files: [], overrides: { local: { state_dir: dir }, audit } });
  assert.equal(openAudit(config({})), null);
  const file = join(dir, 'map.conf');
  writeFileSync(
    file,
    '[DEFAULT]\ntarget_endpoint_type = load-balancer\n[custom_actions]\nfailover = do/it\n[path_keywords]\npools = pool\nstats = None\n[service_endpoints]\nload-balancer = service/lb\n',
  );
  assert.deepEqual(openAudit(config({ enabled: true, audit_map_file: file, ignore_req_list: ['get'] })), {
    map: {
      target_endpoint_type: 'load-balancer',
      custom_actions: { failover: 'do/it' },
      path_keywords: { pools: 'pool', stats: null },
      service_endpoints: { 'load-balancer': 'service/lb' },
    },
    ignored: ['GET'],
  });
  assert.equal(openAudit(config({ enabled: true }))?.map, defaultAuditMap);
  assert.throws(() => openAudit(config({ enabled: true, audit_map_file: `${file}.not` })), StartRefused);
  writeFileSync(file, 'nonsense');
  assert.throws(() => openAudit(config({ enabled: true, audit_map_file: file })), /The audit map .* cannot be read/u);
});
