/** The steps of the amphora provider: data that says what to do now, made by `plan` and carried out by `apply`. */
import type { Amphora, Member } from '../../model/index.ts';
import type { Step } from '../provider.ts';

type Of<Name extends string, Rest = unknown> = Step & { readonly step: Name } & Rest;

/** A step that concerns one amphora. */
type ForAmphora = { readonly amphora_id: string };

/** Every step. */
export type AmphoraStep =
  | Of<'create_vip_port'>
  /** Its security groups and QoS policy are not the load balancer's. */
  | Of<'update_port', { readonly port_id: string }>
  | Of<'release_vip_port', { readonly port_id: string; readonly owned: boolean }>
  | Of<'insert_amphora', ForAmphora & { readonly role: NonNullable<Amphora['role']> }>
  | Of<'create_instance', ForAmphora>
  | Of<'record_instance', ForAmphora & { readonly compute_id: string }>
  | Of<'create_vrrp_port', ForAmphora>
  | Of<'record_vrrp_port', ForAmphora & { readonly port_id: string }>
  | Of<
      'create_member_port',
      ForAmphora & { readonly network_id: string; readonly subnet_ids: readonly string[]; readonly vnic_type: Member['vnic_type'] }
    >
  | Of<'attach_port', ForAmphora & { readonly compute_id: string; readonly port_id: string }>
  | Of<'plug_vip', ForAmphora & { readonly port_id: string }>
  | Of<'plug_network', ForAmphora & { readonly port_id: string }>
  /** With the files that it names and that the amphora lacks; told by their names, for they hold keys. */
  | Of<'put_configuration', ForAmphora & { readonly missing_files: readonly string[] }>
  /** Files that no configuration names any more. */
  | Of<'delete_tls_files', ForAmphora & { readonly names: readonly string[] }>
  | Of<'delete_configuration', ForAmphora>
  /** What to pass on of UDP and SCTP, or that there is nothing any more. */
  | Of<'put_datagram', ForAmphora>
  | Of<'configure_agent', ForAmphora>
  | Of<'renew_certificate', ForAmphora>
  | Of<'allocate', ForAmphora>
  /** The amphora is beyond help: marked for replacement; counts as a failed pass. */
  | Of<'condemn', ForAmphora & { readonly reason: string }>
  | Of<'delete_instance', { readonly compute_id: string; readonly amphora_id: string | null }>
  | Of<'delete_port', { readonly port_id: string; readonly compute_id: string | null }>
  | Of<'forget_amphora', ForAmphora>;
