import { useState } from 'preact/hooks';
import * as api from '../api.js';
import { useData } from '../data.js';
import { t } from '../i18n.js';
import { Button } from '../parts/button.jsx';
import { Card } from '../parts/card.jsx';
import { Field, Filters } from '../parts/form.jsx';
import { Empty, Loaded, Notice } from '../parts/notice.jsx';
import { Page } from '../parts/page.jsx';
import { Said } from '../parts/said.jsx';
import { Table } from '../parts/table.jsx';
import { say } from '../parts/toast.jsx';
import { setQuery } from '../router.js';

/** The one configuration file: each setting with its meaning, and the text itself. */
export default function Settings({ query }) {
  const found = useData('/settings');
  return (
    <Page title={t('settings.title')} lead={t('settings.lead')}>
      <Loaded of={found}>
        {(s) => (
          <>
            <List settings={s.settings} q={query.q ?? ''} set={query.set !== 'all'} />
            <Editor key={s.text} was={s} onDone={found.reload} />
          </>
        )}
      </Loaded>
    </Page>
  );
}

const shown = (value) => (Array.isArray(value) ? value.join(', ') : value === null || value === undefined || value === '' ? '' : String(value));

function List({ settings, q, set }) {
  const want = q.toLowerCase();
  const rows = settings.filter((s) => (!set || want || s.line) && [s.section, s.name, s.meaning].some((text) => (text ?? '').toLowerCase().includes(want)))
    .map((s, i, all) => ({ ...s, again: i > 0 && s.meaning === all[i - 1].meaning && s.section === all[i - 1].section }));
  return (
    <>
      <Filters onChange={setQuery}>
        <Field label={t('settings.search')} name="q" type="search" defaultValue={q} />
        <Field label={t('settings.show')} name="set" type="select" defaultValue={set ? '' : 'all'} options={[['', t('settings.only_set')], ['all', t('settings.all')]]} />
      </Filters>
      <Card flush>
        {rows.length === 0 ? <Empty icon="search" title={t('ui.none_found')}>{t('ui.none_found_hint')}</Empty> : (
          <Table caption={t('settings.title')} rows={rows} row={(s) => `${s.section}.${s.name}`} columns={[
            { key: 'name', label: t('settings.name'), main: true, show: (s) => <code>{s.section ? `${s.section}.${s.name}` : s.name}</code> },
            { key: 'meaning', label: t('settings.meaning'), value: false, show: (s) => (s.again ? <span class="soft">{t('settings.as_above')}</span> : <span class="meaning"><Said text={s.meaning} /></span>) },
            { key: 'value', label: t('settings.value'), value: (s) => shown(s.value), show: (s) => (s.line
              ? <><code>{shown(s.value)}</code> <span class="soft block">{t('settings.line', { n: s.line })}</span></> : <span class="soft">{t('settings.unset')}</span>) },
            { key: 'default', label: t('settings.default'), value: (s) => shown(s.default), show: (s) => <code>{shown(s.default)}</code> },
          ]} />
        )}
      </Card>
    </>
  );
}

async function digest(text) {
  const bytes = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
  return [...bytes].map((b) => b.toString(16).padStart(2, '0')).join('');
}

function Editor({ was, onDone }) {
  const [text, setText] = useState(was.text);
  const [errors, setErrors] = useState(null); // null: not checked since the last change
  const check = async () => {
    const found = (await api.post('/settings/check', { text })).errors;
    setErrors(found);
    return found.length === 0;
  };
  const save = async () => {
    if (!(await check())) return;
    await api.put('/settings', { text, was: was.was ?? await digest(was.text) });
    say(t('settings.saved'));
    onDone();
  };
  const changed = text !== was.text;
  return (
    <Card title={t('settings.file')} lead={t('settings.file_lead', { file: was.file })}>
      <Field label={t('settings.text')} type="textarea" class="wide" spellcheck={false} autocapitalize="none" wrap="off" value={text} data-code
        onInput={(e) => { setText(e.currentTarget.value); setErrors(null); }} />
      {errors?.length === 0 && <Notice mark="good" live>{t('settings.fine')}</Notice>}
      {errors?.length > 0 && (
        <Notice mark="bad" live title={t('settings.mistakes', { n: errors.length })}>
          <ul>{errors.map((e, i) => <li key={i}>{e.line ? t('settings.mistake', { n: e.line, text: e.text }) : e.text}</li>)}</ul>
        </Notice>
      )}
      <div class="form-foot">
        <Button kind="main" onClick={save} {...(changed ? {} : { disabled: true })}>{t('settings.save')}</Button>
        <Button onClick={check}>{t('settings.check')}</Button>
        {changed && <Button kind="quiet" onClick={() => { setText(was.text); setErrors(null); }}>{t('settings.undo')}</Button>}
      </div>
    </Card>
  );
}
