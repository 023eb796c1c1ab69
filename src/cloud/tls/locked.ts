/** What takes work to open: PKCS#12 bundles (RFC 7292: OpenSSL's modern and legacy forms, Java's, Windows') and keys with a passphrase. */
import { createHash } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { checkKeyCost } from './key-cost.ts';
import { bytesOf, type PemBlock } from './pem.ts';

/** What is in it: PKCS#8 keys and X.509 certificates as DER. */
export type Unlocked = { readonly keys: readonly Uint8Array[]; readonly certificates: readonly Uint8Array[] };

/** What the thread is given. */
export type Locked =
  | { readonly form: 'pkcs12'; readonly bundle: Uint8Array }
  | { readonly form: 'key'; readonly pem: string; readonly passphrase: Uint8Array };

/** A bundle with OpenSSL's 2,048 rounds takes 0.1 s with the start of the thread; nothing may take longer than this. */
const LIMIT_MS = 5000;

let last: Promise<unknown> = Promise.resolve();
const opened = new Map<string, Promise<Unlocked | null | undefined>>();
const MAX_OPENED = 256;

/** Opens a bundle that has no password; null: it is damaged, has one, or takes longer than five seconds of a processor. */
export function openPkcs12(bundle: Uint8Array, limit_ms = LIMIT_MS): Promise<Unlocked | null> {
  return openOnce(createHash('sha256').update(bundle), { form: 'pkcs12', bundle }, limit_ms);
}

/** Opens a private key; null: it is damaged or has another passphrase. Throws `RangeError` when it asks for more work than anybody needs. */
export async function openLockedKey(block: PemBlock, passphrase: Uint8Array): Promise<Unlocked | null> {
  if (block.label === 'ENCRYPTED PRIVATE KEY') checkKeyCost(bytesOf(block));
  const digest = createHash('sha256').update(`${passphrase.length} `).update(passphrase).update(block.text);
  return openOnce(digest, { form: 'key', pem: block.text, passphrase }, LIMIT_MS);
}

/** What was opened, or cannot be, is remembered by its digest: what is read again and again costs its tenth of a second once. */
function openOnce(digest: ReturnType<typeof createHash>, locked: Locked, limit_ms: number): Promise<Unlocked | null> {
  const key = digest.digest('base64');
  const known = opened.get(key);
  if (known !== undefined) return known.then((answer) => answer ?? null);
  const opening = inTurn(locked, limit_ms);
  const [oldest] = opened.keys();
  if (oldest !== undefined && opened.size >= MAX_OPENED) opened.delete(oldest);
  opened.set(key, opening);
  // No answer says nothing about the bundle: the machine may be short of memory or time.
  return opening.then((answer) => {
    if (answer === undefined) opened.delete(key);
    return answer ?? null;
  });
}

/** One after another, so that tenants' bundles never take more than one processor; in a thread, so that they never hold up anything else. */
function inTurn(locked: Locked, limit_ms: number): Promise<Unlocked | null | undefined> {
  const turn = last.then(() => openInThread(locked, limit_ms));
  last = turn;
  return turn;
}

/** Undefined: the thread ended without an answer. */
function openInThread(locked: Locked, limit_ms: number): Promise<Unlocked | null | undefined> {
  return new Promise((resolve) => {
    const worker = new Worker(new URL('locked-thread.ts', import.meta.url), {
      workerData: locked,
      name: 'locked',
      execArgv: [],
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: 128 },
    });
    // PKCS#12's keys are derived in JavaScript, which ends when the thread is told to; OpenSSL's rounds would not, so those are counted before.
    const timer = setTimeout(() => void worker.terminate(), limit_ms);
    let content: Unlocked | null | undefined;
    worker.on('message', (message: Unlocked | null) => (content = message));
    worker.on('error', () => undefined);
    worker.on('exit', () => {
      clearTimeout(timer);
      resolve(content);
    });
  });
}
