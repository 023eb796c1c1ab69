/** How every controller process starts, says what it does, and stops. `Ctrl-C` stops the controllers, not the traffic. */
import { existsSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { withFileLock } from '../cloud/local/fabric/exclusive.ts';
import { missingRights } from '../cloud/local/compute/rights.ts';
import { ConfigError, DRAWN_FILE, loadConfig } from '../config/load.ts';
import type { Config } from '../config/table.ts';
import { createLogger, type Logger } from '../lib/log.ts';
import { type Controllers, type Roles, startControllers } from './controllers.ts';
import { drawOnce, writeEffectiveOnce } from './draw.ts';
import { open, type Opened } from './open.ts';
import { claimState, StartRefused, type State } from './state.ts';

const tell = (line: string): void => void process.stderr.write(`${line}\n`);

/** A controller process: its name in the lock of the state folder, and what runs in it. */
export type ControllerProcess = { readonly name: string; readonly roles: Roles };

/** Runs controllers until a signal; ends the process with 1 and one sentence when they cannot start. */
export async function runControllers(which: ControllerProcess): Promise<void> {
  try {
    await start(which);
  } catch (error) {
    if (error instanceof StartRefused || error instanceof ConfigError) tell(error.message);
    else tell(`Octavia could not start: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    process.exit(1);
  }
}

async function start({ name, roles }: ControllerProcess): Promise<void> {
  const begun = performance.now();
  const unknown: string[] = [];
  const first = loadConfig({ warn: (sentence) => unknown.push(sentence) });
  for (const sentence of unknown) tell(sentence);
  checkRights(first);
  if (roles.api) {
    checkNoAuth(first);
    await checkPort(first);
  }
  const state = claimState(first.local.state_dir, name);
  // Ranges are free until the first leg is made: two first starts at once would draw the same ones.
  const isFirst = first.controller_worker.compute_driver === 'compute_local_driver' && !existsSync(join(state.dir, DRAWN_FILE));
  const inTurn = isFirst
    ? <T>(work: () => Promise<T>) => withFileLock('/run/octavia-first-start.lock', work)
    : <T>(work: () => Promise<T>) => work();
  try {
    const base_url = urlOf(first);
    const opened = await inTurn(async () => {
      const config = await drawOnce(first);
      await writeEffectiveOnce(config);
      return open(config, state, base_url, createLogger({ level: config.DEFAULT.debug ? 'debug' : 'info' }), tell);
    });
    const { config, log } = opened;
    const controllers = await startControllers(opened, roles);
    if (roles.housekeeping) opened.local?.compute.startHealing(1000);
    if (roles.api) greet(config, state, base_url, performance.now() - begun);
    else tell(`${name} runs (ready after ${((performance.now() - begun) / 1000).toFixed(1)} s). State: ${state.dir}`);
    stopOnSignal(controllers, opened, state, log);
    // Else only an orderly end keeps what was compiled, and a controller that is killed starts slowly again, in 50 MiB more.
    flushCompileCache();
  } catch (error) {
    state.release();
    throw error;
  }
}

function checkRights(config: Config): void {
  if (config.controller_worker.compute_driver !== 'compute_local_driver') return;
  const missing = missingRights(process.env['PATH'] ?? '');
  if (missing !== null)
    throw new StartRefused(`${missing} Without them set compute_driver = compute_noop_driver, which makes no amphorae.`);
}

function checkNoAuth(config: Config): void {
  const { auth_strategy, bind_host, allow_noauth_beyond_loopback } = config.api_settings;
  if (auth_strategy !== 'noauth' && auth_strategy !== 'testing') return;
  if (allow_noauth_beyond_loopback || /^127\.|^::1$|^localhost$/u.test(bind_host)) return;
  throw new StartRefused(
    `auth_strategy = ${auth_strategy} lets everybody in, so it listens on loopback only: bind to 127.0.0.1, or set allow_noauth_beyond_loopback = true.`,
  );
}

/** The port is tried before anything is made. */
function checkPort(config: Config): Promise<void> {
  const { bind_host, bind_port } = config.api_settings;
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => {
      const reason = error.code === 'EADDRINUSE' ? 'is taken by another program' : `cannot be used (${error.code})`;
      reject(
        new StartRefused(`Port ${bind_port} of ${bind_host} ${reason}: stop that program, or set OCTAVIA_BIND=address:port.`, {
          cause: error,
        }),
      );
    });
    probe.listen(bind_port, bind_host, () => probe.close(() => resolve()));
  });
}

const urlOf = (config: Config): string => {
  const { api_base_uri, bind_host, bind_port } = config.api_settings;
  const host =
    bind_host === '0.0.0.0' ? '127.0.0.1' : bind_host === '::' ? '[::1]' : bind_host.includes(':') ? `[${bind_host}]` : bind_host;
  return api_base_uri ?? `http://${host}:${bind_port}`;
};

function greet(config: Config, state: State, base_url: string, ms: number): void {
  const strategy = config.api_settings.auth_strategy;
  tell('');
  tell(`Octavia listens on ${base_url} (ready after ${(ms / 1000).toFixed(1)} s). State: ${state.dir}`);
  tell('');
  if (strategy === 'keystone') return tell(`Tokens are checked by ${config.keystone_authtoken.auth_url}.`);
  tell('Next, in another terminal:');
  if (strategy === 'noauth') tell(`  openstack --os-auth-type none --os-endpoint ${base_url} loadbalancer list`);
  else {
    tell(`  export OS_CLIENT_CONFIG_FILE=${state.dir}/clouds.yaml OS_CLOUD=octavia`);
    tell('  openstack loadbalancer create --name lb1 --vip-subnet-id private-subnet --wait');
  }
  tell('or see it work:  npm run demo');
  tell('Ctrl-C stops the controllers; load balancers go on serving. npm run destroy removes everything.');
}

/** The first signal stops in order, the second at once. */
function stopOnSignal(controllers: Controllers, opened: Opened, state: State, log: Logger): void {
  let isStopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    if (isStopping) process.exit(1);
    isStopping = true;
    tell('Stopping the controllers. Load balancers go on serving.');
    controllers
      .stop()
      .then(() => opened.close())
      .catch((error: unknown) => log.error({ err: error, signal }, 'not everything stopped in order'))
      .finally(() => {
        state.release();
        process.exit(0);
      });
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
}
