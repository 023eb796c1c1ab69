/** How long rendering takes: `node src/providers/amphora/render/haproxy.bench.ts`. Aim: 1,000 members in 5 ms. */
import { renderHaproxy } from './haproxy.ts';
import {
  sampleAmphora,
  sampleId,
  sampleListener,
  sampleMember,
  sampleMonitor,
  samplePolicy,
  samplePool,
  sampleRule,
  sampleSettings,
  sampleTree,
} from '../../../../test/support/sample-trees.ts';

const members = (count: number) => Array.from({ length: count }, (_, index) => sampleMember(index + 1));
const listeners = Array.from({ length: 100 }, (_, index) =>
  sampleListener({ id: sampleId('listener', index + 1), protocol_port: 1000 + index }),
);
const policies = (count: number, compare_type: 'STARTS_WITH' | 'ENDS_WITH') =>
  Array.from({ length: count }, (_, index) =>
    samplePolicy(index + 1, { ...toPool, rules: [sampleRule(index + 1, { compare_type, value: `/path/of/${index}` })] }),
  );
const toPool = { action: 'REDIRECT_TO_POOL', redirect_pool_id: sampleId('pool') } as const;
const trees = {
  'small (2 members)': sampleTree(),
  '1,000 members': sampleTree({ pools: [samplePool({ members: members(1000), healthmonitor: sampleMonitor() })] }),
  '1,000 members, SOURCE_IP': sampleTree({
    pools: [samplePool({ members: members(1000), lb_algorithm: 'SOURCE_IP', healthmonitor: sampleMonitor() })],
  }),
  '100 listeners': sampleTree({ listeners }),
  '1,000 members, 200 policies': sampleTree({
    listeners: [sampleListener({ l7policies: policies(200, 'STARTS_WITH') })],
    pools: [samplePool({ members: members(1000), healthmonitor: sampleMonitor() })],
  }),
  '1,000 policies, lines': sampleTree({ listeners: [sampleListener({ l7policies: policies(1000, 'ENDS_WITH') })] }),
  '1,000 policies, lists': sampleTree({ listeners: [sampleListener({ l7policies: policies(1000, 'STARTS_WITH') })] }),
};

for (const [name, tree] of Object.entries(trees)) {
  const times = Array.from({ length: 200 }, () => {
    const start = performance.now();
    renderHaproxy(tree, sampleAmphora(), { ...sampleSettings, has_lists: true });
    return performance.now() - start;
  }).toSorted((a, b) => a - b);
  const at = (part: number) => (times[Math.floor(times.length * part)] ?? 0).toFixed(2);
  console.log(`${name.padEnd(26)} first to best ${at(0)} ms   median ${at(0.5)} ms   p99 ${at(0.99)} ms`);
}
