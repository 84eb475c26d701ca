import { render } from 'preact';
import { App } from './app.jsx';
import { startLanguage } from './i18n.js';

startLanguage().then(() => render(<App />, document.getElementById('app')));
