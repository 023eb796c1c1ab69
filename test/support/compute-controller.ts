/**
 * A controller to be killed: makes, plugs, unplugs and removes instances on the state folder given as its argument, without end.
 * Before each call it prints what it is about to do as a JSON line; the test judges what is left by the last lines.
 */
import { writeSync } from 'node:fs';
import { instanceSpec, openLocalCloud } from './local-cloud.ts';

const cloud = await openLocalCloud(process.argv[2] ?? '');
const network = await cloud.addNetwork();

/** Written at once: a line in a buffer would die with the process. */
function say(action: string, compute_id: string, port_id: string | null = null): void {
  writeSync(1, `${JSON.stringify({ action, compute_id, port_id })}\n`);
}

for (;;) {
  const spec = instanceSpec();
  say('create', spec.amphora_id);
  const { compute_id } = await cloud.compute.createInstance(spec);
  const { port } = cloud.addPort(network);
  say('attach', compute_id, port.id);
  await cloud.compute.attachPort(compute_id, port.id);
  say('attached', compute_id, port.id);
  const other = await cloud.compute.createInstance(instanceSpec());
  say('delete', other.compute_id);
  await cloud.compute.deleteInstance(other.compute_id);
  say('deleted', other.compute_id);
}
