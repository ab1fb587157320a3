// An authorization server of OAuth 2.1: node-oidc-provider, with the clients that the tests use.
//
//   node server.js PORT      the issuer is http://127.0.0.1:PORT
//
// Each start has keys of its own, so that starting it again is what changing the keys is elsewhere. The client `ci`
// gets tokens that are signed with RSA, `elliptic` with ECDSA, `edwards` with Ed25519, `brief` ones that end after a
// second. Whatever resource a token is asked for becomes its audience.

import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const port = Number(process.argv[2]);
const key = (alg, type, options) => {
  const { privateKey } = generateKeyPairSync(type, options);
  return { ...privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: randomUUID() };
};
const algorithms = { ci: 'RS256', elliptic: 'ES256', edwards: 'EdDSA', brief: 'RS256' };
const provider = new Provider(`http://127.0.0.1:${port}`, {
  jwks: {
    keys: [
      key('RS256', 'rsa', { modulusLength: 2048 }),
      key('ES256', 'ec', { namedCurve: 'P-256' }),
      key('EdDSA', 'ed25519'),
    ],
  },
  clients: Object.keys(algorithms).map((id) => ({
    client_id: id,
    client_secret: `${id}-secret`,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
  })),
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_context, resource, client) => ({
        scope: 'tools tools:read_* read hooks',
        audience: resource,
        accessTokenFormat: 'jwt',
        accessTokenTTL: client.clientId === 'brief' ? 1 : 600,
        jwt: { sign: { alg: algorithms[client.clientId] } },
      }),
    },
  },
});
createServer(provider.callback()).listen(port, '127.0.0.1');
