/** How long rendering takes: `node src/providers/amphora/render/haproxy.bench.ts`. Aim: 1,000 members in 5 ms. */
import { renderHaproxy } from './haproxy.ts';
import {
  sampleAmphora,
  sampleId,
  sampleListener,
  sampleMember,
  sampleMonitor,
  samplePool,
  sampleSettings,
  sampleTree,
} from '../../../../test/support/sample-trees.ts';

const members = (count: number) => Array.from({ length: count }, (_, index) => sampleMember(index + 1));
const listeners = Array.from({ length: 100 }, (_, index) =>
  sampleListener({ id: sampleId('listener', index + 1), protocol_port: 1000 + index }),
);
const trees = {
  'small (2 members)': sampleTree(),
  '1,000 members': sampleTree({ pools: [samplePool({ members: members(1000), healthmonitor: sampleMonitor() })] }),
  '1,000 members, SOURCE_IP': sampleTree({
    pools: [samplePool({ members: members(1000), lb_algorithm: 'SOURCE_IP', healthmonitor: sampleMonitor() })],
  }),
  '100 listeners': sampleTree({ listeners }),
};

for (const [name, tree] of Object.entries(trees)) {
  const times = Array.from({ length: 200 }, () => {
    const start = performance.now();
    renderHaproxy(tree, sampleAmphora(), sampleSettings);
    return performance.now() - start;
  }).toSorted((a, b) => a - b);
  const at = (part: number) => (times[Math.floor(times.length * part)] ?? 0).toFixed(2);
  console.log(`${name.padEnd(26)} first to best ${at(0)} ms   median ${at(0.5)} ms   p99 ${at(0.99)} ms`);
}
