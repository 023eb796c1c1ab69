/** Where amphorae run: the interface that each kind of compute implements (local namespaces, Nova, the fake cloud). */

/** A file placed in an instance before it boots; `mode` is the octal permission. Contents may be secret. */
export type InstanceFile = { readonly path: string; readonly mode: number; readonly contents: string };

/** What an instance is to be. Its name makes it findable: a second `createInstance` of the same name adopts the first. */
export type InstanceSpec = {
  /** `amphora-<amphora id>`. */
  readonly name: string;
  readonly amphora_id: string;
  readonly loadbalancer_id: string;
  /** Compute flavor of the load balancer's flavor; null: the default. */
  readonly compute_flavor: string | null;
  readonly image_tag: string | null;
  readonly availability_zone: string | null;
  /** The zone of the instance's disk, where that is a volume; null: the default. */
  readonly volume_zone: string | null;
  readonly server_group_id: string | null;
  /** Networks whose ports the instance boots with: the management network. */
  readonly network_ids: readonly string[];
  readonly files: readonly InstanceFile[];
};

/** What flavors and availability zones ask of instances before there is one; null or absent: the default. */
export type InstanceWish = Partial<
  Pick<InstanceSpec, 'compute_flavor' | 'image_tag' | 'availability_zone' | 'volume_zone' | 'network_ids'>
> & {
  /** `direct`: some port is a virtual function of a network card (SR-IOV). */
  readonly vnic_type?: 'normal' | 'direct';
};

/** An instance as the cloud reports it. */
export type Instance = {
  readonly compute_id: string;
  readonly name: string;
  readonly amphora_id: string;
  readonly loadbalancer_id: string;
  readonly status: 'BUILD' | 'ACTIVE' | 'ERROR' | 'DELETING';
  /** Why it is in ERROR. */
  readonly fault: string | null;
  /** Its address on the management network; null until known. */
  readonly lb_network_ip: string | null;
  /** Ports attached to it, the management port not counted. */
  readonly port_ids: readonly string[];
  readonly cached_zone: string | null;
  readonly image_id: string | null;
  readonly compute_flavor: string | null;
  /** Milliseconds since the epoch. */
  readonly created_ms: number;
};

/** A compute service. Every method may throw `Retry` (try again later) or `Terminal`-worthy errors as `CloudRefusal`. */
export interface Compute {
  /** Why no such instance can be made, in words for an administrator; null: it can. */
  findRefusal(wish: InstanceWish): Promise<string | null>;
  /** Starts an instance and returns at once (status BUILD or ACTIVE); the same name again returns the existing one where the cloud can tell. */
  createInstance(spec: InstanceSpec): Promise<Instance>;
  /** Our instances of one load balancer, or of all. A cloud may list a new instance late. */
  listInstances(filter: { readonly loadbalancer_id?: string }): Promise<readonly Instance[]>;
  /** Removes an instance and what belongs to it; one that is not there is success. */
  deleteInstance(compute_id: string): Promise<void>;
  /** Plugs a port into a running instance; one that is plugged already is success. */
  attachPort(compute_id: string, port_id: string): Promise<void>;
  /** Unplugs a port; one that is not plugged is success. */
  detachPort(compute_id: string, port_id: string): Promise<void>;
}

/** The cloud says no for good: quota exceeded, no such flavor. The message may be shown to an operator. */
export class CloudRefusal extends Error {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.name = 'CloudRefusal';
  }
}
