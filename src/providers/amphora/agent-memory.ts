/** What agents were seen to do, for those that cannot tell afterwards: upstream's agent says neither what it plugged nor what HAProxy loaded, nor which files it has. */

/** Remembered of one amphora. */
type Memories = {
  readonly plugged: Map<string, readonly string[]>;
  readonly files: Map<string, string>;
  loaded_md5: string | null;
  /** MD5 of the document of UDP and SCTP listeners that was put. */
  datagram_md5: string | null;
  /** Which process of the agent it was. */
  boot_id: string | null;
};

/** An interface as `ObservedAgent` has it. */
type Plugged = { readonly mac_address: string; readonly addresses: readonly string[] };

/** Remembers per amphora, in this process only: who forgets asks again, and asking twice does no harm. */
export class AgentMemory {
  readonly #amphorae = new Map<string, Memories>();
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The agent is this process now: what another one had loaded no longer counts. */
  noteBoot(amphora_id: string, boot_id: string): void {
    const memories = this.#of(amphora_id);
    if (memories.boot_id !== null && memories.boot_id !== boot_id) memories.loaded_md5 = null;
    memories.boot_id = boot_id;
  }

  /** Is the agent one that names its process, as only ours does? */
  isOurs(amphora_id: string): boolean {
    return (this.#amphorae.get(amphora_id)?.boot_id ?? null) !== null;
  }

  /** HAProxy follows this configuration; null: none any more, or that is about to change. */
  noteLoaded(amphora_id: string, md5: string | null): void {
    this.#of(amphora_id).loaded_md5 = md5;
  }

  /** Was this very configuration seen to be loaded? */
  hasLoaded(amphora_id: string, md5: string): boolean {
    return this.#amphorae.get(amphora_id)?.loaded_md5 === md5;
  }

  /** UDP and SCTP listeners are those of this document; null: none any more, or that is about to change. */
  noteDatagram(amphora_id: string, md5: string | null): void {
    this.#of(amphora_id).datagram_md5 = md5;
  }

  /** MD5 of the document whose listeners were put; null: not known. */
  datagram(amphora_id: string): string | null {
    return this.#amphorae.get(amphora_id)?.datagram_md5 ?? null;
  }

  /** An interface was plugged with these addresses. */
  notePlugged(amphora_id: string, { mac_address, addresses }: Plugged): void {
    this.#of(amphora_id).plugged.set(mac_address, addresses);
  }

  /** Interfaces that were plugged. */
  plugged(amphora_id: string): Plugged[] {
    return [...(this.#amphorae.get(amphora_id)?.plugged ?? [])].map(([mac_address, addresses]) => ({ mac_address, addresses }));
  }

  /** A file of this MD5 is there; null: none of the name, or of any name. */
  noteFile(amphora_id: string, name: string | null, md5: string | null): void {
    const { files } = this.#of(amphora_id);
    if (name === null) files.clear();
    else if (md5 === null) files.delete(name);
    else files.set(name, md5);
  }

  /** Files that were put, by their MD5. */
  files(amphora_id: string): ReadonlyMap<string, string> {
    return new Map(this.#amphorae.get(amphora_id)?.files);
  }

  #of(amphora_id: string): Memories {
    const memories = this.#amphorae.get(amphora_id) ?? {
      plugged: new Map(),
      files: new Map(),
      loaded_md5: null,
      datagram_md5: null,
      boot_id: null,
    };
    this.#amphorae.delete(amphora_id);
    this.#amphorae.set(amphora_id, memories);
    const [oldest] = this.#amphorae.keys();
    if (this.#amphorae.size > this.#limit && oldest !== undefined) this.#amphorae.delete(oldest);
    return memories;
  }
}
