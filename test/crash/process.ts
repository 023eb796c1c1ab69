/**
 * A controller process that can die or freeze at any call to the outside. Dead: the call never returns, so nothing of the
 * process runs any more. Frozen: it returns later, when other workers may have taken over.
 */

/** What may happen at a call: before it has an effect, or after the effect and before the answer. */
export type Fate = 'live' | 'die_before' | 'die_after' | 'freeze_before' | 'freeze_after';

/** A process under simulation. */
export class SimulatedProcess {
  readonly name: string;
  isDead = false;
  #thaw: (() => void) | null = null;
  #stopped: (() => void)[] = [];
  readonly #fate: (call: string) => Fate;

  constructor(name: string, fate: (call: string) => Fate) {
    this.name = name;
    this.#fate = fate;
  }

  get isFrozen(): boolean {
    return this.#thaw !== null;
  }

  /** Lets a frozen process go on. */
  thaw(): void {
    const go = this.#thaw;
    this.#thaw = null;
    go?.();
  }

  /** Resolves when the process dies or freezes; at once when it is. */
  stopped(): Promise<void> {
    if (this.isDead || this.isFrozen) return Promise.resolve();
    return new Promise((resolve) => this.#stopped.push(resolve));
  }

  #stop(): void {
    for (const resolve of this.#stopped.splice(0)) resolve();
  }

  /** Every asynchronous method of the outside, seen from this process; `names` of the object's methods to wrap. */
  reach<T extends object>(what: string, outside: T, names: readonly (keyof T & string)[]): T {
    const wrapped = Object.create(outside) as T;
    for (const name of names) {
      const method = (outside[name] as (...args: unknown[]) => Promise<unknown>).bind(outside);
      Object.defineProperty(wrapped, name, { value: (...args: unknown[]) => this.#call(`${what}.${name}`, () => method(...args)) });
    }
    return wrapped;
  }

  async #call<T>(call: string, effect: () => Promise<T>): Promise<T> {
    if (this.isDead) return never();
    const fate = this.#fate(call);
    if (fate === 'die_before') return this.#die();
    if (fate === 'freeze_before') await this.#freeze();
    const result = await settle(effect);
    if (fate === 'die_after' || this.isDead) return this.#die();
    if (fate === 'freeze_after') await this.#freeze();
    return result();
  }

  #die<T>(): Promise<T> {
    this.isDead = true;
    this.#stop();
    return never();
  }

  #freeze(): Promise<void> {
    // One freeze at a time: a second call of a frozen process waits for the same thaw.
    return new Promise((resolve) => {
      const before = this.#thaw;
      this.#thaw = () => {
        before?.();
        resolve();
      };
      this.#stop();
    });
  }
}

const never = <T>(): Promise<T> => new Promise<T>(() => undefined);

/** The outcome as a function, so that a failure's effect is over before it is told. */
async function settle<T>(effect: () => Promise<T>): Promise<() => T> {
  try {
    const value = await effect();
    return () => value;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}
