/** The life-cycle states of a resource (api-ref "Provisioning Status Codes"). */
export type ProvisioningStatus = 'ACTIVE' | 'ERROR' | 'DELETED' | 'PENDING_CREATE' | 'PENDING_UPDATE' | 'PENDING_DELETE';

/** What traffic sees of a resource (api-ref "Operating Status Codes"). */
export type OperatingStatus = 'ONLINE' | 'OFFLINE' | 'DEGRADED' | 'ERROR' | 'DRAINING' | 'NO_MONITOR';

/** The life-cycle states of an amphora (api-ref "Amphora Status Codes"). */
export type AmphoraStatus = 'PENDING_CREATE' | 'BOOTING' | 'ALLOCATED' | 'PENDING_DELETE' | 'DELETED' | 'ERROR' | 'FAILOVER_STOPPED';

/** Is a change under way that a worker still has to carry out? */
export const isPending = (status: ProvisioningStatus): boolean => status.startsWith('PENDING_');
