// OHIF as npm publishes it and the PACS's DICOMweb, under one origin on loopback.

import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const DIST = fileURLToPath(new URL('node_modules/@ohif/app/dist', import.meta.url));
const PROXIED = ['/dicom-web', '/wado'];
const TYPES = {
  '.css': 'text/css',
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.mjs': 'text/javascript',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
  '.woff2': 'font/woff2',
};

// Without these the page has no SharedArrayBuffer, which cornerstone asks for.
const ISOLATED = {
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

/** Serve on a free port; give the address. */
export async function serve(pacs) {
  let base = '';
  const server = http.createServer((request, response) => {
    for (const [name, value] of Object.entries(ISOLATED)) response.setHeader(name, value);
    const { pathname } = new URL(request.url, base);
    if (PROXIED.some(root => pathname.startsWith(root))) return proxy(pacs, request, response);
    if (pathname === '/app-config.js') return send(response, TYPES['.js'], config(base));
    return sendFile(response, path.join(DIST, path.normalize(pathname)));
  });
  await new Promise(listening => server.listen(0, '127.0.0.1', listening));
  base = `http://127.0.0.1:${server.address().port}`;
  return base;
}

function send(response, type, content) {
  response.writeHead(200, { 'Content-Type': type });
  response.end(content);
}

/** A path that is no file is a route of the page. */
function sendFile(response, file) {
  const found = fs.statSync(file, { throwIfNoEntry: false })?.isFile();
  const sent = found ? file : path.join(DIST, 'index.html');
  response.writeHead(200, { 'Content-Type': TYPES[path.extname(sent)] ?? 'application/octet-stream' });
  fs.createReadStream(sent).pipe(response);
}

function proxy(pacs, request, response) {
  const { hostname, port } = new URL(pacs);
  const options = { hostname, port, path: request.url, method: request.method, headers: request.headers };
  const onward = http.request(options, answer => {
    response.writeHead(answer.statusCode, { ...answer.headers, ...ISOLATED });
    answer.pipe(response);
  });
  onward.on('error', error => response.writeHead(502).end(String(error)));
  request.pipe(onward);
}

function config(base) {
  const source = {
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
    sourceName: 'dicomweb',
    configuration: {
      friendlyName: 'Orthanc',
      name: 'orthanc',
      wadoUriRoot: `${base}/wado`,
      qidoRoot: `${base}/dicom-web`,
      wadoRoot: `${base}/dicom-web`,
      qidoSupportsIncludeField: false,
      imageRendering: 'wadors',
      thumbnailRendering: 'wadors',
      enableStudyLazyLoad: true,
      supportsFuzzyMatching: false,
      supportsWildcard: true,
      omitQuotationForMultipartRequest: true,
      bulkDataURI: { enabled: true },
    },
  };
  const settings = {
    routerBasename: null,
    extensions: [],
    modes: [],
    customizationService: {},
    showStudyList: true,
    maxNumberOfWebWorkers: 2,
    showWarningMessageForCrossOrigin: false,
    showCPUFallbackMessage: false,
    strictZSpacingForVolumeViewport: true,
    investigationalUseDialog: { option: 'never' },
    disableConfirmationPrompts: true,
    defaultDataSourceName: 'dicomweb',
    dataSources: [source],
  };
  return `window.config = ${JSON.stringify(settings)};`;
}
