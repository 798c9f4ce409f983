// Tells the times on a page in the reader's own zone. Without this script they are told in UTC, and say so.

const { lang } = document.documentElement;
const date = { year: 'numeric', month: 'long', day: 'numeric' };
const forms = { date, moment: { ...date, hour: '2-digit', minute: '2-digit', timeZoneName: 'short' } };

for (const time of document.querySelectorAll('time[data-told]')) {
  const at = new Date(time.dateTime);
  const form = new Intl.DateTimeFormat(lang === 'en' ? 'en-GB' : lang, forms[time.dataset.told]);
  if (!Number.isNaN(at.valueOf())) time.textContent = form.format(at);
}
