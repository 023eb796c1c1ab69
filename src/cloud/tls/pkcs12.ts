/** PKCS#12 bundles (RFC 7292) without password: OpenSSL's modern and legacy forms, Java's, Windows'. */
import { Worker } from 'node:worker_threads';

/** What is in a bundle: PKCS#8 keys and X.509 certificates as DER. */
export type Pkcs12Content = { readonly keys: readonly Uint8Array[]; readonly certificates: readonly Uint8Array[] };

/** A bundle with OpenSSL's 2,048 rounds takes 0.1 s with the start of the thread; no bundle may take longer than this. */
const LIMIT_MS = 5000;

let last: Promise<unknown> = Promise.resolve();

/**
 * Opens a bundle; null: it is damaged, has a password, or takes longer than five seconds of a processor. One after another, so that
 * tenants' bundles never take more than one processor; in a thread, so that they never hold up anything else.
 */
export function openPkcs12(bundle: Uint8Array, limit_ms = LIMIT_MS): Promise<Pkcs12Content | null> {
  const turn = last.then(() => openInThread(bundle, limit_ms));
  last = turn.catch(() => undefined);
  return turn;
}

function openInThread(bundle: Uint8Array, limit_ms: number): Promise<Pkcs12Content | null> {
  return new Promise((resolve) => {
    const worker = new Worker(new URL('pkcs12-thread.ts', import.meta.url), {
      workerData: Uint8Array.from(bundle),
      name: 'pkcs12',
      execArgv: [],
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: 128 },
    });
    // The library derives keys in JavaScript, which ends when the thread is told to; OpenSSL's rounds inside Node would not.
    const timer = setTimeout(() => void worker.terminate(), limit_ms);
    let content: Pkcs12Content | null = null;
    worker.on('message', (message: Pkcs12Content | null) => (content = message));
    worker.on('error', () => undefined);
    worker.on('exit', () => {
      clearTimeout(timer);
      resolve(content);
    });
  });
}
