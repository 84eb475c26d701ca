/* All that alerts say, in French. */
#include "app/alerts_watch.h"

/* clang-format off */
const struct lang_pair alert_words[] = {
    {"A message has been waiting for %lld hours.", "Un message attend depuis %lld heures."},
    {"Look in the queue why it waits: the peer's words stand there. Correct the address or remove it.",
     "Voyez dans la file pourquoi il attend : la réponse de l'autre serveur s'y trouve. Corrigez l'adresse ou supprimez-le."},
    {"%lld messages wait in the queue.", "%lld messages attendent dans la file."},
    {"Look in the queue what they have in common: one destination that does not answer, or one account that sends too much.",
     "Voyez dans la file ce qu'ils ont en commun : une destination qui ne répond pas, ou un compte qui envoie trop."},
    {"%.*s sends in the name of %.*s and did not before: %lld messages.", "%.*s envoie au nom de %.*s et ne le faisait pas avant : %lld messages."},
    {"If it is a service of yours, let it sign with your domain. If you do not know it, see in the reports whether its mail is refused.",
     "S'il s'agit d'un de vos services, faites-le signer avec votre domaine. Si vous ne le connaissez pas, voyez dans les rapports si son courrier est refusé."},
    {"%lld of %lld messages in the name of %.*s were not proven in the last three days.",
     "%lld messages sur %lld au nom de %.*s n'étaient pas authentifiés ces trois derniers jours."},
    {"See in the reports which sources they come from: let those that are yours sign; the others are what DMARC is there for.",
     "Voyez dans les rapports de quelles sources ils viennent : faites signer les vôtres ; les autres sont la raison d'être de DMARC."},
    {"%lld of %lld connections to %.*s had no good encryption in the last three days (%.*s).",
     "%lld connexions sur %lld vers %.*s n'étaient pas bien chiffrées ces trois derniers jours (%.*s)."},
    {"See in the TLS reports which host and which result it is; most often a certificate has expired or has another name.",
     "Voyez dans les rapports TLS quel hôte et quel résultat sont en cause ; le plus souvent un certificat a expiré ou porte un autre nom."},
    {"The DNS no longer shows the record %.*s %.*s.", "Le DNS ne montre plus l'enregistrement %.*s %.*s."},
    {"Publish it again; the domain's page of records has it to copy.", "Publiez-le de nouveau ; la page des enregistrements du domaine le donne à copier."},
    {"The record %.*s %.*s is not what it was: the DNS shows %.*s.", "L'enregistrement %.*s %.*s n'est plus ce qu'il était : le DNS montre %.*s."},
    {"If nobody changed it on purpose, find out who may change your zone. The domain's page of records has what should stand there.",
     "Si personne ne l'a changé exprès, cherchez qui peut modifier votre zone. La page des enregistrements du domaine donne ce qui devrait s'y trouver."},
    /* the mail */
    {"What to do: %.*s", "Que faire : %.*s"},
    {"Each is told once. See and silence them here: https://%s/admin/#/alerts",
     "Chaque alerte n'est envoyée qu'une fois. Voyez-les et faites-les taire ici : https://%s/admin/#/alerts"},
    {"%zu alerts", "%zu alertes"},
    {NULL, NULL},
};
