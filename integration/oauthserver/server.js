// An OAuth server for tests: oauth2-mock-server, made as strict as those of large services. It demands a known client, PKCE with S256, a loopback redirect
// that is the same in both steps; it rotates refresh tokens, ends tokens in time, revokes them, and tells the mail server whose token one is.
//
// It prints {"issuer": URL, "control": URL} when it is ready. POST control with a JSON object changes the settings below; the answer is what has happened
// so far. It ends when its standard input does.
'use strict';

const http = require('node:http');
const { OAuth2Server } = require('oauth2-mock-server');

const settings = {
  clientId: 'mailkeep-test',
  clientSecret: 'the-client-secret',
  expiresIn: 3600, // seconds that access tokens last
  deny: '', // an error that the user's browser brings instead of a code
  user: '', // who is logged in in the browser; by default who is suggested
  noRefreshToken: false,
  rotate: true, // a refresh token makes way for its successor
  down: 0, // an HTTP status that the token endpoint answers with, 0 for none
};
const codes = new Map(); // code -> what the browser asked for
const refreshTokens = new Map(); // refresh token -> user
const accessTokens = new Map(); // access token -> {user, until}
const happened = { authorizations: [], requests: [], secrets: [] };

function authorize({ url }, req) {
  const q = req.query;
  happened.authorizations.push(q);
  const problem =
    q.client_id !== settings.clientId ? 'unauthorized_client'
    : !/^http:\/\/(127\.0\.0\.1|localhost|\[::1\]):[0-9]+(\/|$)/.test(q.redirect_uri) ? 'invalid_request'
    : q.code_challenge_method !== 'S256' || !q.code_challenge ? 'invalid_request'
    : !(q.scope ?? '').split(' ').includes('mail') ? 'invalid_scope'
    : settings.deny;
  if (problem) {
    url.searchParams.delete('code');
    url.searchParams.set('error', problem);
    url.searchParams.set('error_description', `The answer of the test is ${problem}.`);
    return;
  }
  const code = url.searchParams.get('code');
  happened.secrets.push(code);
  codes.set(code, { redirect: q.redirect_uri, user: settings.user || q.login_hint });
}

function userOf(body) {
  if (body.grant_type === 'refresh_token') {
    return refreshTokens.get(body.refresh_token);
  }
  const asked = codes.get(body.code);
  codes.delete(body.code);
  return asked && body.code_verifier && asked.redirect === body.redirect_uri ? asked.user : undefined;
}

function answerToken(answer, req) {
  const body = req.body;
  happened.requests.push(body.grant_type);
  for (const name of ['code_verifier', 'refresh_token']) {
    if (body[name]) {
      happened.secrets.push(body[name]);
    }
  }
  const refuse = (status, error) => {
    answer.statusCode = status;
    answer.body = error ? { error, error_description: `The answer of the test is ${error}.` } : { trouble: answer.body.access_token };
  };
  if (settings.down) {
    return refuse(settings.down, '');
  }
  if (body.client_id !== settings.clientId || (body.client_secret ?? '') !== settings.clientSecret) {
    return refuse(401, 'invalid_client');
  }
  const user = userOf(body);
  if (user === undefined) {
    return refuse(400, 'invalid_grant');
  }
  answer.body.expires_in = settings.expiresIn;
  accessTokens.set(answer.body.access_token, { user, until: Date.now() + settings.expiresIn * 1000 });
  if (settings.noRefreshToken || (body.grant_type === 'refresh_token' && !settings.rotate)) {
    delete answer.body.refresh_token;
  } else {
    refreshTokens.delete(body.refresh_token);
    refreshTokens.set(answer.body.refresh_token, user);
    happened.secrets.push(answer.body.refresh_token);
  }
  happened.secrets.push(answer.body.access_token, answer.body.id_token, settings.clientSecret);
}

function tellMailServer(answer, req) {
  const token = (req.headers.authorization ?? '').replace(/^Bearer /, '');
  const known = accessTokens.get(token);
  if (!known || known.until < Date.now()) {
    answer.statusCode = 401;
    answer.body = { error: 'invalid_token', error_description: 'The token is unknown or has expired.' };
    return;
  }
  answer.body = { sub: known.user, email: known.user, active: true };
}

function control(req, res) {
  let text = '';
  req.on('data', (part) => { text += part; });
  req.on('end', () => {
    const { revoke, expire, ...changes } = JSON.parse(text || '{}');
    if (revoke) {
      refreshTokens.clear();
    }
    if (expire) {
      accessTokens.clear();
    }
    Object.assign(settings, changes);
    res.setHeader('Content-Type', 'application/json');
    res.end(JSON.stringify(happened));
  });
}

async function main() {
  const server = new OAuth2Server();
  await server.issuer.keys.generate('RS256');
  server.service.on('beforeAuthorizeRedirect', authorize);
  server.service.on('beforeResponse', answerToken);
  server.service.on('beforeUserinfo', tellMailServer);
  // Every token is unlike the others, also two of the same second.
  let serial = 0;
  server.service.on('beforeTokenSigning', (token) => { token.payload.jti = `${++serial}`; });
  await server.start(0, '127.0.0.1');
  const controls = http.createServer(control);
  controls.listen(0, '127.0.0.1', () => {
    const at = (s) => `http://127.0.0.1:${s.address().port}`;
    server.issuer.url = at(server);
    console.log(JSON.stringify({ issuer: at(server), control: at(controls) }));
  });
  process.stdin.on('end', () => process.exit(0));
  process.stdin.resume();
}

main();
