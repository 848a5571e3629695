// The npm package oidc-provider on a port of loopback, as an experiment would run it: people with groups, one public client that people's programs log in
// with, another client whose tokens are for others. It says its issuer on one line and ends when its standard input does.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';

// The package lies where it was installed, not beside this file.
const installed = createRequire(pathToFileURL(`${process.env.IDP_PACKAGES}/`)).resolve('oidc-provider');
const { default: Provider } = await import(pathToFileURL(installed));

const people = {
  alice: { name: 'alice example', email: 'alice@example.org', groups: ['/amber', '/amber/production'] },
  mallory: { name: 'mallory other', email: 'mallory@example.org', groups: ['/beryl'] },
};
const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';
const client = (client_id) => ({
  client_id,
  token_endpoint_auth_method: 'none',
  application_type: 'native',
  grant_types: [DEVICE, 'refresh_token'],
  response_types: [],
  redirect_uris: [],
});
const key = { ...generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }), kid: 'k1', use: 'sig', alg: 'RS256' };

const server = createServer();
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;
const provider = new Provider(issuer, {
  clients: [client('panda-client'), client('another-client')],
  jwks: { keys: [key] },
  cookies: { keys: ['of this test'] },
  // As most providers of experiments do, names and groups stand in the token of identity itself.
  conformIdTokenClaims: false,
  claims: { openid: ['sub'], profile: ['name', 'preferred_username', 'groups'], email: ['email'] },
  features: { deviceFlow: { enabled: true }, devInteractions: { enabled: true } },
  ttl: { IdToken: 3600, AccessToken: 3600, DeviceCode: 600, Interaction: 600, Session: 3600, Grant: 3600, RefreshToken: 3600 },
  findAccount: (_, sub) => people[sub] && { accountId: sub, claims: () => ({ sub, preferred_username: sub, ...people[sub] }) },
});
const answer = provider.callback();
server.on('request', async (request, response) => {
  // The client's list of scopes ends with a space. Providers that experiments use take it; this one says that a space is no scope.
  if (request.method === 'POST' && request.url === '/device/auth') {
    const form = new URLSearchParams(await text(request));
    form.set('scope', form.get('scope').trim());
    request.body = Object.fromEntries(form);
  }
  answer(request, response);
});
process.stdin.on('end', () => process.exit(0)).resume();
console.log(issuer);
