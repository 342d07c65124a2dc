// A WebSocket client that does what it is told: JSON, one request and one answer per line.
'use strict';

const fs = require('fs');
const readline = require('readline');
const WebSocket = require('ws');

const sockets = new Map();

function decode(message) {
  return message.binary === undefined ? message.text : Buffer.from(message.binary, 'base64');
}

function open(request) {
  return new Promise((resolve, reject) => {
    const ws = new WebSocket(request.url, request.subprotocols, {
      headers: request.headers,
      perMessageDeflate: request.compression ? { threshold: 0 } : false,
      ca: request.ca === undefined ? undefined : fs.readFileSync(request.ca),
    });
    const socket = { ws, arrived: [], wanted: [], pongs: [] };
    const put = (found) => {
      if (socket.wanted.length) socket.wanted.shift()(found);
      else socket.arrived.push(found);
    };
    let headers = {};
    ws.on('upgrade', (response) => { headers = response.headers; });
    ws.on('open', () => {
      sockets.set(request.socket, socket);
      resolve({ subprotocol: ws.protocol || null, headers });
    });
    ws.on('message', (data, isBinary) => {
      put(isBinary ? { binary: data.toString('base64') } : { text: data.toString() });
    });
    ws.on('pong', (data) => {
      if (socket.pongs.length) socket.pongs.shift()(data.toString('base64'));
    });
    ws.on('close', (code, reason) => put({ close: code, reason: reason.toString() }));
    ws.on('error', (error) => reject(error));
    ws.on('unexpected-response', (_, response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => {
        const body = Buffer.concat(chunks).toString('base64');
        resolve({ status: response.statusCode, body });
      });
    });
  });
}

const commands = {
  send({ ws }, request) {
    return new Promise((resolve, reject) => {
      const options = { binary: request.binary !== undefined, fin: request.fin };
      ws.send(decode(request), options, (error) => (error ? reject(error) : resolve({})));
    });
  },
  receive({ arrived, wanted }) {
    return new Promise((resolve) => {
      if (arrived.length) resolve(arrived.shift());
      else wanted.push(resolve);
    });
  },
  ping({ ws, pongs }, request) {
    return new Promise((resolve) => {
      pongs.push((payload) => resolve({ payload }));
      ws.ping(Buffer.from(request.payload, 'base64'));
    });
  },
  close({ ws }, request) {
    return new Promise((resolve) => {
      if (ws.readyState === WebSocket.CLOSED) resolve({});
      ws.on('close', () => resolve({}));
      ws.close(request.code, request.reason);
    });
  },
  drop({ ws }, request) {
    ws.terminate();
    sockets.delete(request.socket);
    return {};
  },
};

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const request = JSON.parse(line);
  let answer;
  try {
    const socket = sockets.get(request.socket);
    answer = await (request.do === 'open' ? open(request) : commands[request.do](socket, request));
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(`${JSON.stringify({ number: request.number, ...answer })}\n`);
});
