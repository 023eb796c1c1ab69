/** `npm run demo`: a load balancer with two small members, its traffic on the terminal, before, during and after one dies. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '../config/load.ts';
import { DemoClient } from './demo-client.ts';
import { showTraffic } from './demo-traffic.ts';

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const children: ChildProcess[] = [];

async function main(): Promise<void> {
  const { api_settings, local } = loadConfig();
  const base_url = `http://${api_settings.bind_host}:${api_settings.bind_port}`;
  const startedHere = await ensureController(base_url);
  // Read after the start: the first one draws the ranges and the password.
  const password = readFileSync(join(local.state_dir, 'demo.password'), 'utf8').trim();
  const client = await DemoClient.login(base_url, 'demo', password);
  const subnet = await client.subnet('private-subnet');
  const members = [await startMember('blue', subnet.gateway_ip), await startMember('green', subnet.gateway_ip)];

  say('Creating a load balancer with an HTTP listener, a pool, two members and a health monitor, in one call …');
  const begun = performance.now();
  const lb = await client.createLoadBalancer(subnet.id, members);
  try {
    await client.waitFor(lb.id, 'ACTIVE');
    say(`ACTIVE after ${Math.round(performance.now() - begun)} ms. Its address is http://${lb.vip_address}/ and these are its members:`);
    say(await client.memberTable(lb.id));
    await showTraffic(lb.vip_address, 4, 'both members answer');
    say('\nKilling the blue member (SIGKILL) …');
    members[0]?.process.kill('SIGKILL');
    await showTraffic(lb.vip_address, 6, 'the green one takes over');
    say(await client.memberTable(lb.id));
    say('\nStarting the blue member again …');
    await startMember('blue', subnet.gateway_ip, members[0]?.port);
    await showTraffic(lb.vip_address, 6, 'both again');
    say(await client.memberTable(lb.id));
  } finally {
    say('\nDeleting the load balancer with everything in it …');
    await client.remove(lb.id);
  }
  say(startedHere ? 'Done. The controllers of this demo are stopped; start your own with: npm start' : 'Done.');
}

/** Uses controllers that run, or starts them for the time of the demo. True: started here. */
async function ensureController(base_url: string): Promise<boolean> {
  if (await isReady(base_url)) return false;
  say('No controller is running: starting one for the demo …');
  const child = spawn(process.execPath, [fileURLToPath(new URL('../../launch.mjs', import.meta.url)), 'src/main/all.ts'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  children.push(child);
  let output = '';
  child.stderr?.on('data', (chunk: Buffer) => (output = (output + chunk.toString()).slice(-4000)));
  const deadline = Date.now() + 60_000;
  while (!(await isReady(base_url))) {
    if (child.exitCode !== null) throw new Error(`The controllers did not start:\n${output.trim()}`);
    if (Date.now() > deadline) throw new Error('The controllers were not ready within a minute.');
    await pause(50);
  }
  return true;
}

const isReady = async (base_url: string): Promise<boolean> => {
  try {
    return (await fetch(`${base_url}/healthcheck`, { signal: AbortSignal.timeout(1000) })).status === 200;
  } catch {
    return false;
  }
};

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

type RunningMember = { readonly name: string; readonly address: string; readonly port: number; readonly process: ChildProcess };

/** A web server of a few lines that says its name; port 0 takes a free one. */
function startMember(name: string, address: string, port = 0): Promise<RunningMember> {
  const program = `require('node:http').createServer((q, r) => r.end(process.argv[1])).listen(Number(process.argv[3]), process.argv[2], function () { console.log(this.address().port) })`;
  const child = spawn(process.execPath, ['-e', program, name, address, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  return new Promise((resolve, reject) => {
    child.once('exit', () => reject(new Error(`The member ${name} could not listen on ${address}.`)));
    child.stdout?.once('data', (line: Buffer) => resolve({ name, address, port: Number(line.toString()), process: child }));
  });
}

/** Ends what this demo started, and only that. */
function endChildren(): void {
  for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
}

process.on('exit', endChildren);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));
try {
  await main();
  process.exit(0);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
