/** A real HAProxy that runs what is rendered from a tree, with the secrets that it refers to. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { askSocket } from '../../../src/agent/unix-socket.ts';
import type { LoadBalancerTree } from '../../../src/model/index.ts';
import { renderHaproxy } from '../../../src/providers/amphora/render/haproxy.ts';
import { secretFilesOf, type SecretOutcome } from '../../../src/providers/amphora/render/tls-files.ts';
import { METRICS_EXPORTER_SOCKET, METRICS_SOCKET } from '../../../src/wire/agent-api.ts';
import { tlsFileName } from '../../../src/wire/tls-files.ts';
import type { TestHaproxy } from '../../../tools/suite/haproxies.ts';
import { until } from '../octavia.ts';
import { sampleAmphora, sampleSettings } from '../sample-trees.ts';

/** A running HAProxy. */
export type RenderedHaproxy = {
  /** Folder of its sockets and files. */
  readonly folder: string;
  readonly text: string;
  stop(): Promise<void>;
};

/** Starts one and waits until it serves; throws with its complaints when it does not. `secrets`: PEM texts by reference. */
export async function startRendered(
  tree: LoadBalancerTree,
  secrets: ReadonlyMap<string, string>,
  haproxy: TestHaproxy,
): Promise<RenderedHaproxy> {
  const folder = mkdtempSync(join(tmpdir(), 'rh-'));
  chmodSync(folder, 0o755);
  const own = join(folder, tree.loadbalancer.id);
  mkdirSync(own);
  const outcomes = new Map<string, SecretOutcome>(
    secretFilesOf(tree).map((file) => {
      const content = secrets.get(file.ref);
      if (content === undefined) return [file.place, { unreadable: `there is no secret ${file.ref}` }] as const;
      const name = tlsFileName(file.place, createHash('md5').update(content).digest('hex'));
      writeFileSync(join(own, name), content, { mode: 0o600 });
      return [file.place, { name }] as const;
    }),
  );
  const settings = {
    ...sampleSettings,
    base_path: folder,
    run_path: folder,
    cert_path: folder,
    secrets: outcomes,
    metrics: { exporter: `unix@${folder}/${METRICS_EXPORTER_SOCKET}`, translator: `unix@${folder}/${METRICS_SOCKET}` },
    ping_command: `${folder}/ping-wrapper.sh`,
    run_as: process.getuid?.() === 0 ? { user: 'nobody', group: 'nogroup' } : null,
    maxconn_limit: 500,
  };
  const { text, crt_lists } = renderHaproxy(tree, sampleAmphora(), settings);
  for (const [name, list] of Object.entries(crt_lists)) writeFileSync(join(own, name), list);
  writeFileSync(join(folder, 'haproxy.cfg'), text);
  const child = spawn('haproxy', ['-db', '-f', join(folder, 'haproxy.cfg')], {
    env: { ...process.env, PATH: haproxy.path },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let complaints = '';
  child.stderr.on('data', (chunk: Buffer) => (complaints = (complaints + chunk.toString()).slice(-5000)));
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await until(async () => {
      if (child.exitCode !== null) throw new Error(`HAProxy ended with ${child.exitCode}: ${complaints}`);
      return (await askSocket(join(folder, `${tree.loadbalancer.id}.sock`), 'show info').catch(() => '')) !== '';
    }, 'HAProxy serves');
  } catch (error) {
    await stop();
    throw error;
  }
  return { folder, text, stop };
}
