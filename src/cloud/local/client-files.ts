/** The files by which clients find this machine and log in: `clouds.yaml` (openstacksdk, Terraform, gophercloud) and `openrc` (shells). Pure. */
import { stringify } from 'yaml';
import type { Secret } from '../../lib/secret.ts';

/** What the files say. */
export type ClientFilesOptions = {
  /** `http://127.0.0.1:9876`. */
  readonly base_url: string;
  readonly passwords: { readonly admin: Secret; readonly demo: Secret };
  /** Default `RegionOne`. */
  readonly region?: string;
};

/** The texts of both files; they hold passwords, so write them with mode 0600. */
export type ClientFiles = { readonly clouds_yaml: string; readonly openrc: string };

/** The files for two clouds: `octavia`, the user demo of the project demo, and `octavia-admin`. */
export function writeClientFiles({ base_url, passwords, region = 'RegionOne' }: ClientFilesOptions): ClientFiles {
  const auth_url = `${base_url.replace(/\/+$/u, '')}/identity/v3`;
  const cloud = (name: string, password: Secret): object => ({
    auth: {
      auth_url,
      username: name,
      password: password.reveal(),
      project_name: name,
      user_domain_name: 'Default',
      project_domain_name: 'Default',
    },
    region_name: region,
    identity_api_version: 3,
    interface: 'public',
  });
  const clouds = { octavia: cloud('demo', passwords.demo), 'octavia-admin': cloud('admin', passwords.admin) };
  const variables = {
    OS_AUTH_TYPE: 'password',
    OS_AUTH_URL: auth_url,
    OS_USERNAME: 'demo',
    OS_PASSWORD: passwords.demo.reveal(),
    OS_PROJECT_NAME: 'demo',
    OS_USER_DOMAIN_NAME: 'Default',
    OS_PROJECT_DOMAIN_NAME: 'Default',
    OS_REGION_NAME: region,
    OS_IDENTITY_API_VERSION: '3',
    OS_INTERFACE: 'public',
  };
  const lines = Object.entries(variables).map(([name, value]) => `export ${name}=${quoted(value)}`);
  return {
    clouds_yaml: stringify({ clouds }),
    // Left over from another cloud, these would win over what is set here, or contradict it.
    openrc: ['unset OS_CLOUD OS_TOKEN OS_SYSTEM_SCOPE OS_PROJECT_ID OS_TENANT_NAME', ...lines, ''].join('\n'),
  };
}

/** A value that a shell takes as it is. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
