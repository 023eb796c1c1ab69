/** Where our configurations say something else than the reference's for the same load balancer, and why. */

/**
 * A difference. `from` and `to`: lines of the reference that match are ours after the replacement (`null`: we have none). Only `to`, as a
 * pattern: a line that the reference does not have.
 */
export type Difference = {
  /** Header of the section. */
  readonly where: RegExp;
  /** Only in this shape. */
  readonly shape?: string;
  readonly from: RegExp | null;
  readonly to: string | null;
  readonly why: string;
};

const all = /./u;
const global = /^global$/u;
const frontend = /^frontend /u;
const backend = /^backend /u;

/** All of them; a test fails when one is not met any more. */
export const differences: readonly Difference[] = [
  {
    where: global,
    from: /^daemon$/u,
    to: null,
    why: 'HAProxy runs in the foreground as master and worker: the init of the amphora supervises it.',
  },
  {
    where: global,
    from: /mode 0666 level user$/u,
    to: 'mode 600 level admin expose-fd listeners',
    why: 'The agent alone uses the socket, and changes the running process by it; listening sockets are handed over at a reload.',
  },
  { where: global, from: null, to: '^localpeer ', why: 'Ours tells HAProxy who it is; the reference does so on the command line.' },
  {
    where: global,
    from: /^maxconn 2000$/u,
    to: 'maxconn 50000',
    why: 'Never less than the default limit: HAProxy cannot raise it while it runs, and the limit of a listener must change without a reload.',
  },
  {
    where: /^defaults$/u,
    from: /^option redispatch$/u,
    to: 'option redispatch 1',
    why: 'The first retry goes to another member already, instead of the third.',
  },
  {
    where: backend,
    from: /^fullconn \d+$/u,
    to: null,
    why: 'It has an effect on servers with `minconn` alone, which neither has.',
  },
  {
    where: backend,
    from: /^option httpchk (\S+) (\S+)(?: (HTTP\/\S+))?$/u,
    to: 'option httpchk\nhttp-check send meth $1 uri $2 ver $3',
    why: 'The modern form of the same probe, in which every value is a word of its own.',
  },
  { where: backend, from: /^(http-check send meth \S+ uri \S+) ver $/u, to: '$1', why: 'The same, where no version is asked for.' },
  {
    where: backend,
    from: /^http-check send meth GET uri \/health ver HTTP\/1\.1$/u,
    to: 'http-check send meth GET uri /health ver HTTP/1.1 hdr Host www.example.com',
    why: 'The host of a probe is on the line of the probe.',
  },
  { where: backend, from: /^http-check send hdr Host \S+$/u, to: null, why: 'The host of a probe is on the line of the probe.' },
  {
    where: backend,
    from: /^http-check expect rstatus (.*)$/u,
    to: 'http-check expect status $1',
    why: 'Codes are compared as numbers, not by a regular expression.',
  },
  {
    where: backend,
    shape: 'https-passthrough-tls-hello',
    from: /^(server \S+ \S+) check fall 2 inter 5s rise 2 (weight 1)$/u,
    to: '$1 check check-ssl fall 2 inter 5s rise 2 verify none $2',
    why: 'A TLS-HELLO monitor makes a handshake, as the API says; the reference only connects.',
  },
  {
    where: backend,
    from: / addr (2001:\S+)/u,
    to: ' addr [$1]',
    why: 'Without brackets HAProxy takes the last group of the address for a port.',
  },
  {
    where: frontend,
    shape: 'prometheus',
    from: /␣-␣-␣%B/u,
    to: '␣%{+Q}r␣%ST␣%B',
    why: 'Requests for metrics are HTTP, and are logged with request and status.',
  },
  {
    where: frontend,
    from: null,
    to: '^(?:acl allowed_cidrs src|tcp-request connection reject unless allowed_cidrs)',
    why: "Allowed networks hold in HAProxy, too; the reference relies on the cloud's security groups.",
  },
  {
    where: frontend,
    from: /^redirect scheme https if !\{ ssl_fc \}$/u,
    to: null,
    why: 'All that comes in by such a listener is TLS.',
  },
  {
    where: all,
    from: / no-sslv3 no-tlsv10 no-tlsv11/u,
    to: ' ssl-min-ver TLSv1.2 ssl-max-ver TLSv1.3',
    why: "A range says the same, and can also lower HAProxy's own minimum (TLS 1.2), which `no-…` cannot.",
  },
  {
    where: frontend,
    from: /crt-list (\S+)\/00000006-0000-4000-8000-000000000004\.pem/u,
    to: 'crt-list $1/FILE',
    why: 'Names of files carry slot, reference and content.',
  },
  {
    where: backend,
    from: / sni ssl_fc_sni/u,
    to: '',
    why: 'A listener without TLS has no name to pass on to members.',
  },
  { where: backend, from: /%\{\+Q\}\[/u, to: '%[', why: 'HAProxy puts no quotes into headers in either form.' },
  {
    where: frontend,
    from: /^redirect code (\d+) (location|prefix) (\S+) if (.*)$/u,
    to: 'http-request redirect $2 $3 code $1 if $4',
    why: 'Refusals and redirects are rules of one kind, in the order of the policies; the old form would be looked at after all `http-request` rules.',
  },
  {
    where: frontend,
    from: /^(acl \S+ \S+(?: -i)? -m \w+) (\S+)$/u,
    to: '$1 -- $2',
    why: 'A value that begins with a dash is a value.',
  },
  {
    where: frontend,
    from: /^(acl \S+) path_end -m reg (.*)$/u,
    to: '$1 path -m reg $2',
    why: '`-m reg` overrides `path_end`, so that the reference compares with the path as well.',
  },
];
