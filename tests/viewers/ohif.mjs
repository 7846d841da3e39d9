// OHIF in headless Chromium, driven over a pipe: one JSON request a line, one JSON answer a line.
//
//   node ohif.mjs PACS CHROMIUM PROFILE
//
// PACS is the address of an Orthanc that speaks DICOMweb, PROFILE an empty folder for the browser.
// It ends when its standard input ends.

import readline from 'node:readline';

import puppeteer from 'puppeteer-core';

import { serve } from './serve.mjs';

const [pacs, executablePath, userDataDir] = process.argv.slice(2);
const PATIENCE_MS = 300_000;
const CLICK_AGAIN_MS = 30_000;
// Small, because all pixels of it are drawn without a graphics card.
const WINDOW = { width: 1280, height: 720 };
const THUMBNAILS =
  '[data-cy="study-browser-thumbnail"],[data-cy="study-browser-thumbnail-no-image"]';

const base = await serve(pacs);
const browser = await puppeteer.launch({
  executablePath,
  userDataDir,
  headless: true,
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--use-gl=angle',
    '--use-angle=swiftshader',
    '--enable-unsafe-swiftshader',
    '--ignore-gpu-blocklist',
    `--window-size=${WINDOW.width},${WINDOW.height}`,
    '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1',
  ],
});

let page;
let scriptErrors = [];

const TASKS = {
  /** Open a study; give the series that the page lists. */
  async open({ study, series }) {
    await page?.close();
    scriptErrors = [];
    page = await browser.newPage();
    page.on('pageerror', error => scriptErrors.push(String(error?.stack ?? error)));
    page.on('error', error => scriptErrors.push(`the page crashed: ${error}`));
    await page.setViewport(WINDOW);
    await page.evaluateOnNewDocument(prepare);
    await page.goto(`${base}/viewer?StudyInstanceUIDs=${study}`, { waitUntil: 'domcontentloaded' });
    const listed = (selector, count) => document.querySelectorAll(selector).length >= count;
    await until(listed, THUMBNAILS, series);
    await drawn();
    return { series: await page.$$eval(THUMBNAILS, found => found.map(one => one.innerText)) };
  },

  /** Show an image or clip as a person does, by a double click on it. */
  async show({ instance }) {
    const shown = wanted => viewport()?.getCurrentImageId()?.includes(`/instances/${wanted}/`);
    await open(instance, shown, instance);
    await drawn();
    return {};
  },

  /** Load a SEG by a double click on it; give its segments as the page's panel lists them. */
  async load({ instance }) {
    const loaded = wanted => {
      const { displaySetService, segmentationService } = window.services;
      const listed = viewport() && segmentationService.getSegmentationRepresentations(viewport().id);
      const isWanted = ({ segmentationId }) =>
        displaySetService.getDisplaySetByUID(segmentationId)?.SOPInstanceUID === wanted;
      // It is painted some time after it is listed: the image is one actor, labels are others.
      const painted = viewport()?.getActors().length > 1;
      return painted && listed.some(isWanted) && viewport().getCurrentImageId();
    };
    const image = await open(instance, loaded, instance);
    await drawn();
    return { image, rows: await rows() };
  },

  /**
   * Open a structured report by a double click on it; give the image and all text that it shows.
   *
   * On a busy machine OHIF may set the report up before its viewport, and then draws nothing of it
   * until another image was shown there: `other` is.
   */
  async report({ instance, words, other }) {
    const written = wanted => document.body.innerText.includes(wanted);
    const again = () => TASKS.show({ instance: other });
    await open(instance, written, words, { again });
    await drawn();
    return page.evaluate(() => ({
      image: viewport().getCurrentImageId(),
      text: document.body.innerText,
    }));
  },

  /** Go on by one frame with the keyboard; give the number of the frame that is shown then. */
  async step({ key }) {
    const frame = () => viewport().getCurrentImageIdIndex() + 1;
    const before = await page.evaluate(frame);
    await page.evaluate(() => viewport().element.focus());
    await page.keyboard.press(key);
    await until(old => viewport().getCurrentImageIdIndex() + 1 !== old, before);
    await drawn();
    return { frame: await page.evaluate(frame) };
  },

  /** Take a screenshot; give where it shows pixels (row, column) of the image, as (x, y). */
  async picture({ path, points }) {
    const places = await page.evaluate(wanted => {
      const { imageData } = viewport().getImageData();
      const { left, top } = viewport().canvas.getBoundingClientRect();
      return wanted.map(([row, column]) => {
        const [x, y] = viewport().worldToCanvas(imageData.indexToWorld([column, row, 0]));
        return [left + x, top + y];
      });
    }, points);
    await page.screenshot({ path });
    return { places };
  },
};

/** Run in the page before anything of OHIF is. */
function prepare() {
  // The tour of the viewer lies over it and takes the clicks.
  localStorage.setItem('shownTours', JSON.stringify(['basicViewerTour']));
  // There is none for a moment whenever another series is shown.
  window.viewport = () => window.cornerstone?.getRenderingEngines()[0]?.getViewports()[0];
}

/** Ask the page until its answer is true, and give it. */
async function until(condition, ...values) {
  const found = await within(PATIENCE_MS, condition, ...values);
  if (found) return found;
  throw new Error(`waited in vain until ${condition}\nThe page said: ${await said()}`);
}

/** The page's answer once it is true, or null after a while. */
async function within(milliseconds, condition, ...values) {
  for (const start = Date.now(); Date.now() - start < milliseconds; ) {
    const found = await page.evaluate(condition, ...values);
    if (found) return found;
    await new Promise(later => setTimeout(later, 50));
  }
  return null;
}

/** Double click a thumbnail until the page's answer is true: it may move away below the mouse. */
async function open(instance, condition, value, { again } = {}) {
  for (const start = Date.now(); Date.now() - start < PATIENCE_MS; ) {
    await doubleClick(instance);
    const found = await within(CLICK_AGAIN_MS, condition, value);
    if (found) return found;
    await again?.();
  }
  throw new Error(`clicked in vain until ${condition}\nThe page said: ${await said()}`);
}

/** All words that the page shows, for the one who asks why a test failed. */
function said() {
  return page.evaluate(() => document.body.innerText);
}

/** Wait until there is an image and two more frames of the page were drawn. */
async function drawn() {
  await until(() => viewport()?.getCurrentImageId());
  await page.evaluate(
    () => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))
  );
}

async function doubleClick(instance) {
  const id = await page.evaluate(wanted => {
    const all = window.services.displaySetService.getActiveDisplaySets();
    const found = all.find(({ instances }) => instances?.[0].SOPInstanceUID === wanted);
    return `thumbnail-${found.displaySetInstanceUID}`;
  }, instance);
  const element = await page.$(`[id="${id}"]`);
  await element.evaluate(one => one.scrollIntoView());
  const { x, y, width, height } = await element.boundingBox();
  await page.mouse.click(x + width / 2, y + height / 2, { count: 2 });
}

/** Open the panel of segmentations; give the name and the colour in every row. */
async function rows() {
  const row = '[data-cy="data-row"]';
  if (!(await page.$(row))) await page.click('[data-cy="panelSegmentation-btn"]');
  await until(selector => document.querySelector(selector) !== null, row);
  return page.$$eval(row, found =>
    found.map(one => ({
      name: one.querySelector('span.text-base').innerText,
      colour: one.querySelector('span.rounded-full').style.backgroundColor,
    }))
  );
}

process.stdout.write(`${JSON.stringify({ ready: base })}\n`);
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { task, ...request } = JSON.parse(line);
  let answer;
  try {
    answer = await TASKS[task](request);
  } catch (error) {
    answer = { failed: String(error?.stack ?? error) };
  }
  process.stdout.write(`${JSON.stringify({ ...answer, scriptErrors })}\n`);
}
await browser.close();
process.exit(0);
