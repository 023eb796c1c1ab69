/** Protocols by the names that security group rules may use (IANA's list, as far as Neutron knows it). */
const numbers: Readonly<Record<string, number>> = {
  ah: 51,
  dccp: 33,
  egp: 8,
  esp: 50,
  gre: 47,
  icmp: 1,
  icmpv6: 58,
  igmp: 2,
  ipip: 4,
  'ipv6-encap': 41,
  'ipv6-frag': 44,
  'ipv6-icmp': 58,
  'ipv6-nonxt': 59,
  'ipv6-opts': 60,
  'ipv6-route': 43,
  ospf: 89,
  pgm: 113,
  rsvp: 46,
  sctp: 132,
  tcp: 6,
  udp: 17,
  udplite: 136,
  vrrp: 112,
};

/** The number of a protocol given by name or number; null: there is none of that name. */
export function protocolNumber(text: string, version: 4 | 6): number | null {
  // Neutron takes icmp for ICMPv6 where the rule is about IPv6.
  if (version === 6 && (text === 'icmp' || text === '1')) return 58;
  if (/^\d{1,3}$/u.test(text) && Number(text) <= 255) return Number(text);
  return Object.hasOwn(numbers, text) ? (numbers[text] ?? null) : null;
}
