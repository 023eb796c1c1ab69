/** The fence against controllers that lost their lease: the highest generation seen, kept over restarts. */
import { writeFileAtomic } from '../lib/atomic-file.ts';
import { STALE_GENERATION } from '../wire/agent-api.ts';
import { refuse } from './answers.ts';
import { readIfThere } from './files.ts';

/** The highest generation that a request came with. */
export class Generations {
  readonly #file: string;
  #highest = 0;

  /** @param file where it is kept */
  constructor(file: string) {
    this.#file = file;
  }

  /** The highest seen; 0 before the first. */
  get highest(): number {
    return this.#highest;
  }

  /** Reads what an earlier process kept. */
  async load(): Promise<void> {
    this.#highest = Number((await readIfThere(this.#file))?.trim() ?? 0) || 0;
  }

  /** Lets a request of this generation pass and remembers it; throws a refusal with 409 for an older one. */
  async admit(generation: number): Promise<void> {
    if (generation < this.#highest) throw refuse(409, STALE_GENERATION, `generation ${generation} is older than ${this.#highest}`);
    if (generation === this.#highest) return;
    await writeFileAtomic(this.#file, `${generation}\n`);
    this.#highest = generation;
  }
}

/** The header's value. Throws a refusal with 400 unless it is a whole number. */
export function parseGeneration(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (!/^\d{1,15}$/u.test(value)) throw refuse(400, 'Invalid request', 'the generation is no number');
  return Number(value);
}
