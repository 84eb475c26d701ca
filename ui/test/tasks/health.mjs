// Tasks about the health of domains, for whoever looks after one.
import assert from 'node:assert/strict';
import { alone } from '../hands.mjs';

const LOGO = '<svg xmlns="http://www.w3.org/2000/svg" baseProfile="tiny-ps" version="1.2" viewBox="0 0 100 100"><title>Ici</title><rect width="100" height="100" fill="#1f4e8c"/></svg>';
const BAD_LOGO = LOGO.replace('<rect', '<script>1</script><rect');
const svg = (text) => ({ name: 'logo.svg', mimeType: 'image/svg+xml', buffer: Buffer.from(text) });

/** Never a red light without a next step. */
async function everyFaultHasARepair(h) {
  for (const mark of ['bad', 'warn'])
    for (const point of await h.page.locator('.point.mark-' + mark).all()) assert.ok(await point.locator('.repair').count(), await point.innerText());
}

export const health = (domain, foreign) => ({
  async 'ask the doctor about my domain'(h) {
    await h.menu('Doctor');
    await h.press(h.link(new RegExp('^' + domain.replaceAll('.', '\\.'))));
    await h.page.getByRole('heading', { name: `${domain} seen from outside` }).waitFor();
    await h.page.locator('.answer').waitFor({ timeout: 60000 });
    await everyFaultHasARepair(h);
    assert.match(await h.page.locator('.spf-count').innerText(), /look-ups? of at most 10$/);
    await h.press(h.page.getByText('How the DMARC record was found'));
    await h.page.locator('.walk').getByText('_dmarc.' + domain).waitFor();
  },

  async 'ask the doctor about somebody else’s domain'(h) {
    await h.menu('Doctor');
    await h.fill(h.field('Domain to look at'), `Somebody@${foreign.toUpperCase()}`);
    await h.press(h.button('Look'));
    await h.page.getByRole('heading', { name: `${foreign} seen from outside` }).waitFor();
    await h.page.locator('.answer').waitFor({ timeout: 60000 });
    await everyFaultHasARepair(h);
    await h.page.getByText('v=spf1 mx').first().waitFor();
  },

  async 'a logo: refused with reasons, taken, previewed, removed'(h) {
    await alone('logo of ' + domain, async () => {
      await h.menu('Logo (BIMI)');
      if (await h.field('Domain').inputValue() !== domain) await h.choose(h.field('Domain'), domain);
      await h.title(new RegExp(domain));
      const box = h.page.locator('input[type=file]');
      await h.button('Choose an SVG').waitFor();
      await box.setInputFiles(svg(BAD_LOGO));
      await h.page.locator('.toast.mark-bad').waitFor();
      await box.setInputFiles(svg(LOGO));
      await h.said('The logo is served from now on.');
      const shown = h.page.locator('.preview img').first();
      await shown.waitFor();
      assert.ok(await shown.evaluate((img) => img.decode().then(() => img.naturalWidth > 0)), 'the logo is not drawn');
      const record = await h.copied(h.button(/^Copy/));
      assert.match(record, /^v=BIMI1; ?l=https:\/\/mta-sts\./);
      await h.press(h.button('Remove'));
      await h.press(h.button('Remove', h.page.getByRole('dialog')));
      await h.page.getByText('No logo yet').waitFor();
    });
  },
});
