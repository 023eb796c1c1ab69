/** Passwords: kept as scrypt hashes (RFC 7914), checked a few at a time so that guessing cannot use up the machine. */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { Fault } from '../../model/faults.ts';

/** The price of one check: memory is 128 · N · r bytes. */
export type ScryptCost = { readonly N: number; readonly r: number; readonly p: number };

/** Hashes passwords and compares with hashes. Both throw `Fault` 503 while too many wait. */
export interface Passwords {
  /** A text with the cost and the salt in it: `scrypt$N$r$p$salt$hash`. */
  hash(password: string): Promise<string>;
  /** With null (no such user) it takes as long, and is false. */
  matches(password: string, hash: string | null): Promise<boolean>;
}

/** 32 MiB and some 80 ms a check: a command of the client pays it once, an attacker for every guess. */
export const usualCost: ScryptCost = { N: 32_768, r: 8, p: 1 };
const RUNNING = 2;
const WAITING = 64;
const HASH_BYTES = 32;

/** Passwords at a given cost; tests take a cheap one. */
export function createPasswords(cost: ScryptCost = usualCost): Passwords {
  const inTurn = takeTurns(RUNNING, WAITING);
  const nobody = encode(cost, randomBytes(16), randomBytes(HASH_BYTES));
  return {
    async hash(password) {
      const salt = randomBytes(16);
      return encode(cost, salt, await inTurn(() => derive(password, salt, cost)));
    },
    async matches(password, hash) {
      const known = decode(hash ?? nobody);
      const derived = await inTurn(() => derive(password, known.salt, known.cost));
      return timingSafeEqual(derived, known.derived) && hash !== null;
    },
  };
}

/** A new password that nobody guesses: 144 random bits, safe in a shell and in YAML. */
export function newPassword(): string {
  // The letter in front keeps it from looking like an option to a command line.
  return `p${randomBytes(18).toString('base64url')}`;
}

function derive(password: string, salt: Buffer, cost: ScryptCost): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password, salt, HASH_BYTES, { ...cost, maxmem: 1_048_576 + 256 * cost.N * cost.r }, (error, key) =>
      error === null ? resolve(key) : reject(new Error('cannot hash a password', { cause: error })),
    );
  });
}

function encode(cost: ScryptCost, salt: Buffer, derived: Buffer): string {
  return ['scrypt', cost.N, cost.r, cost.p, salt.toString('base64url'), derived.toString('base64url')].join('$');
}

function decode(hash: string): { readonly cost: ScryptCost; readonly salt: Buffer; readonly derived: Buffer } {
  const [name, N, r, p, salt, derived] = hash.split('$');
  if (name !== 'scrypt' || salt === undefined || derived === undefined) throw new Error('a password hash has an unknown form');
  const cost = { N: Number(N), r: Number(r), p: Number(p) };
  return { cost, salt: Buffer.from(salt, 'base64url'), derived: Buffer.from(derived, 'base64url') };
}

/** Runs at most `running` at once, in order; more than `waiting` in the queue are refused. */
function takeTurns(running: number, waiting: number): <T>(work: () => Promise<T>) => Promise<T> {
  const queue: (() => void)[] = [];
  let busy = 0;
  return async (work) => {
    if (busy < running) busy += 1;
    else if (queue.length >= waiting)
      throw new Fault(503, 'Too many authentication requests at once. Please try again.', { retry_after_seconds: 2 });
    // Who ends hands its place to the next, so `busy` does not change for that one.
    else await new Promise<void>((resolve) => queue.push(resolve));
    try {
      return await work();
    } finally {
      const next = queue.shift();
      if (next === undefined) busy -= 1;
      else next();
    }
  };
}
