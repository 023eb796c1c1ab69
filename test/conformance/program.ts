/** Starts the program itself as the reference was set up: no tokens, no-op drivers, four providers, certificates in files. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort, until } from '../support/octavia.ts';
import { writeCertificates } from './certificates.ts';

/** A running program. */
export type Program = { readonly base_url: string; readonly state_dir: string; stop(): Promise<void> };

/** The configuration that makes a controller without a cloud, for tests of clients; docs/operations.md explains it. */
export const programConf = (certificates: string): string => `[api_settings]
auth_strategy = noauth
allow_tls_terminated_listeners = True
allow_ping_health_monitors = True
allow_prometheus_listeners = True
default_provider_driver = amphora
enabled_provider_drivers = amphora: The Octavia Amphora driver., octavia: Deprecated alias of the Octavia Amphora driver., noop_driver: The no-op driver., noop_driver-alt: The no-op driver alt.
healthcheck_enabled = False
[controller_worker]
compute_driver = compute_noop_driver
network_driver = network_noop_driver
amphora_driver = amphora_noop_driver
[certificates]
cert_manager = local_cert_manager
storage_path = ${certificates}
`;

/** Longest wait for the program to start. */
const START_MS = 30_000;

/** Starts it on a free port of loopback and a state folder of its own; more options by \`OS_<GROUP>__<OPTION>\` in \`env\`. */
export async function startProgram(env: Readonly<Record<string, string>> = {}): Promise<Program> {
  const folder = await mkdtemp(join(tmpdir(), 'oct-conf-'));
  const port = await freePort();
  const base_url = `http://127.0.0.1:${port}`;
  await writeCertificates(join(folder, 'certificates'));
  await writeFile(join(folder, 'asked.conf'), programConf(join(folder, 'certificates')));
  const own = {
    OCTAVIA_STATE_DIR: join(folder, 'state'),
    OCTAVIA_BIND: `127.0.0.1:${port}`,
    OCTAVIA_CONFIG: join(folder, 'asked.conf'),
    OS_HEALTH_MANAGER__BIND_PORT: '0',
  };
  const child = spawn(process.execPath, [fileURLToPath(new URL('../../src/main/all.ts', import.meta.url))], {
    env: { ...process.env, ...own, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (output = (output + chunk.toString()).slice(-100_000)));
  const stop = async (): Promise<void> => {
    await end(child);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await until(
      async () => {
        if (child.exitCode !== null) throw new Error(`the program ended:\n${output}`);
        return fetch(base_url).then(
          (answer) => answer.status === 200,
          () => false,
        );
      },
      'the program listens',
      START_MS,
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return { base_url, state_dir: join(folder, 'state'), stop };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await gone;
}
