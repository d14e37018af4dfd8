"""Countries and their subdivisions: codes, names and telephone prefixes.

The countries are those of ISO 3166-1, with the telephone prefix of each (ITU-T E.164). The
subdivisions are those of ISO 3166-2, for the countries that most users come from.
"""

from collections.abc import Mapping
from typing import NamedTuple

from scopegate.gateway.calls.errors import input_validation_failed


class Country(NamedTuple):
    """A country, with its common name."""

    name: str
    dialling: str
    """The telephone prefix, without the plus sign; empty where there is none."""


_COUNTRIES = """
ad 376 Andorra
ae 971 United Arab Emirates
af 93 Afghanistan
ag 1268 Antigua and Barbuda
ai 1264 Anguilla
al 355 Albania
am 374 Armenia
ao 244 Angola
aq 672 Antarctica
ar 54 Argentina
as 1684 American Samoa
at 43 Austria
au 61 Australia
aw 297 Aruba
ax 358 Åland Islands
az 994 Azerbaijan
ba 387 Bosnia and Herzegovina
bb 1246 Barbados
bd 880 Bangladesh
be 32 Belgium
bf 226 Burkina Faso
bg 359 Bulgaria
bh 973 Bahrain
bi 257 Burundi
bj 229 Benin
bl 590 Saint Barthélemy
bm 1441 Bermuda
bn 673 Brunei
bo 591 Bolivia
bq 599 Bonaire, Sint Eustatius and Saba
br 55 Brazil
bs 1242 Bahamas
bt 975 Bhutan
bv - Bouvet Island
bw 267 Botswana
by 375 Belarus
bz 501 Belize
ca 1 Canada
cc 61 Cocos (Keeling) Islands
cd 243 Congo (Democratic Republic)
cf 236 Central African Republic
cg 242 Congo
ch 41 Switzerland
ci 225 Côte d'Ivoire
ck 682 Cook Islands
cl 56 Chile
cm 237 Cameroon
cn 86 China
co 57 Colombia
cr 506 Costa Rica
cu 53 Cuba
cv 238 Cabo Verde
cw 599 Curaçao
cx 61 Christmas Island
cy 357 Cyprus
cz 420 Czechia
de 49 Germany
dj 253 Djibouti
dk 45 Denmark
dm 1767 Dominica
do 1809 Dominican Republic
dz 213 Algeria
ec 593 Ecuador
ee 372 Estonia
eg 20 Egypt
eh 212 Western Sahara
er 291 Eritrea
es 34 Spain
et 251 Ethiopia
fi 358 Finland
fj 679 Fiji
fk 500 Falkland Islands
fm 691 Micronesia
fo 298 Faroe Islands
fr 33 France
ga 241 Gabon
gb 44 United Kingdom
gd 1473 Grenada
ge 995 Georgia
gf 594 French Guiana
gg 44 Guernsey
gh 233 Ghana
gi 350 Gibraltar
gl 299 Greenland
gm 220 Gambia
gn 224 Guinea
gp 590 Guadeloupe
gq 240 Equatorial Guinea
gr 30 Greece
gs 500 South Georgia and the South Sandwich Islands
gt 502 Guatemala
gu 1671 Guam
gw 245 Guinea-Bissau
gy 592 Guyana
hk 852 Hong Kong
hm - Heard Island and McDonald Islands
hn 504 Honduras
hr 385 Croatia
ht 509 Haiti
hu 36 Hungary
id 62 Indonesia
ie 353 Ireland
il 972 Israel
im 44 Isle of Man
in 91 India
io 246 British Indian Ocean Territory
iq 964 Iraq
ir 98 Iran
is 354 Iceland
it 39 Italy
je 44 Jersey
jm 1876 Jamaica
jo 962 Jordan
jp 81 Japan
ke 254 Kenya
kg 996 Kyrgyzstan
kh 855 Cambodia
ki 686 Kiribati
km 269 Comoros
kn 1869 Saint Kitts and Nevis
kp 850 North Korea
kr 82 South Korea
kw 965 Kuwait
ky 1345 Cayman Islands
kz 7 Kazakhstan
la 856 Laos
lb 961 Lebanon
lc 1758 Saint Lucia
li 423 Liechtenstein
lk 94 Sri Lanka
lr 231 Liberia
ls 266 Lesotho
lt 370 Lithuania
lu 352 Luxembourg
lv 371 Latvia
ly 218 Libya
ma 212 Morocco
mc 377 Monaco
md 373 Moldova
me 382 Montenegro
mf 590 Saint Martin (French part)
mg 261 Madagascar
mh 692 Marshall Islands
mk 389 North Macedonia
ml 223 Mali
mm 95 Myanmar
mn 976 Mongolia
mo 853 Macao
mp 1670 Northern Mariana Islands
mq 596 Martinique
mr 222 Mauritania
ms 1664 Montserrat
mt 356 Malta
mu 230 Mauritius
mv 960 Maldives
mw 265 Malawi
mx 52 Mexico
my 60 Malaysia
mz 258 Mozambique
na 264 Namibia
nc 687 New Caledonia
ne 227 Niger
nf 672 Norfolk Island
ng 234 Nigeria
ni 505 Nicaragua
nl 31 Netherlands
no 47 Norway
np 977 Nepal
nr 674 Nauru
nu 683 Niue
nz 64 New Zealand
om 968 Oman
pa 507 Panama
pe 51 Peru
pf 689 French Polynesia
pg 675 Papua New Guinea
ph 63 Philippines
pk 92 Pakistan
pl 48 Poland
pm 508 Saint Pierre and Miquelon
pn 64 Pitcairn
pr 1787 Puerto Rico
ps 970 Palestine
pt 351 Portugal
pw 680 Palau
py 595 Paraguay
qa 974 Qatar
re 262 Réunion
ro 40 Romania
rs 381 Serbia
ru 7 Russia
rw 250 Rwanda
sa 966 Saudi Arabia
sb 677 Solomon Islands
sc 248 Seychelles
sd 249 Sudan
se 46 Sweden
sg 65 Singapore
sh 290 Saint Helena, Ascension and Tristan da Cunha
si 386 Slovenia
sj 47 Svalbard and Jan Mayen
sk 421 Slovakia
sl 232 Sierra Leone
sm 378 San Marino
sn 221 Senegal
so 252 Somalia
sr 597 Suriname
ss 211 South Sudan
st 239 São Tomé and Príncipe
sv 503 El Salvador
sx 1721 Sint Maarten (Dutch part)
sy 963 Syria
sz 268 Eswatini
tc 1649 Turks and Caicos Islands
td 235 Chad
tf 262 French Southern Territories
tg 228 Togo
th 66 Thailand
tj 992 Tajikistan
tk 690 Tokelau
tl 670 Timor-Leste
tm 993 Turkmenistan
tn 216 Tunisia
to 676 Tonga
tr 90 Türkiye
tt 1868 Trinidad and Tobago
tv 688 Tuvalu
tw 886 Taiwan
tz 255 Tanzania
ua 380 Ukraine
ug 256 Uganda
um 1 United States Minor Outlying Islands
us 1 United States
uy 598 Uruguay
uz 998 Uzbekistan
va 39 Vatican City
vc 1784 Saint Vincent and the Grenadines
ve 58 Venezuela
vg 1284 British Virgin Islands
vi 1340 United States Virgin Islands
vn 84 Vietnam
vu 678 Vanuatu
wf 681 Wallis and Futuna
ws 685 Samoa
ye 967 Yemen
yt 262 Mayotte
za 27 South Africa
zm 260 Zambia
zw 263 Zimbabwe
"""

_PARTS = """
au ACT Australian Capital Territory; NSW New South Wales; NT Northern Territory; QLD Queensland;
   SA South Australia; TAS Tasmania; VIC Victoria; WA Western Australia
br AC Acre; AL Alagoas; AP Amapá; AM Amazonas; BA Bahia; CE Ceará; DF Distrito Federal; ES
   Espírito Santo; GO Goiás; MA Maranhão; MT Mato Grosso; MS Mato Grosso do Sul; MG Minas
   Gerais; PA Pará; PB Paraíba; PR Paraná; PE Pernambuco; PI Piauí; RJ Rio de Janeiro; RN Rio
   Grande do Norte; RS Rio Grande do Sul; RO Rondônia; RR Roraima; SC Santa Catarina; SP São
   Paulo; SE Sergipe; TO Tocantins
ca AB Alberta; BC British Columbia; MB Manitoba; NB New Brunswick; NL Newfoundland and Labrador;
   NS Nova Scotia; NT Northwest Territories; NU Nunavut; ON Ontario; PE Prince Edward Island; QC
   Quebec; SK Saskatchewan; YT Yukon
de BB Brandenburg; BE Berlin; BW Baden-Württemberg; BY Bayern; HB Bremen; HE Hessen; HH Hamburg;
   MV Mecklenburg-Vorpommern; NI Niedersachsen; NW Nordrhein-Westfalen; RP Rheinland-Pfalz; SH
   Schleswig-Holstein; SL Saarland; SN Sachsen; ST Sachsen-Anhalt; TH Thüringen
es AN Andalucía; AR Aragón; AS Asturias; CB Cantabria; CE Ceuta; CL Castilla y León; CM
   Castilla-La Mancha; CN Canarias; CT Cataluña; EX Extremadura; GA Galicia; IB Illes Balears;
   MC Murcia; MD Madrid; ML Melilla; NC Navarra; PV País Vasco; RI La Rioja; VC Comunitat
   Valenciana
fr 20R Corse; ARA Auvergne-Rhône-Alpes; BFC Bourgogne-Franche-Comté; BRE Bretagne; CVL
   Centre-Val de Loire; GES Grand Est; HDF Hauts-de-France; IDF Île-de-France; NAQ
   Nouvelle-Aquitaine; NOR Normandie; OCC Occitanie; PAC Provence-Alpes-Côte d'Azur; PDL Pays de
   la Loire
gb ENG England; NIR Northern Ireland; SCT Scotland; WLS Wales
id AC Aceh; BA Bali; BB Kepulauan Bangka Belitung; BE Bengkulu; BT Banten; GO Gorontalo; JA
   Jambi; JB Jawa Barat; JI Jawa Timur; JK Jakarta Raya; JT Jawa Tengah; KB Kalimantan Barat; KI
   Kalimantan Timur; KR Kepulauan Riau; KS Kalimantan Selatan; KT Kalimantan Tengah; KU
   Kalimantan Utara; LA Lampung; MA Maluku; MU Maluku Utara; NB Nusa Tenggara Barat; NT Nusa
   Tenggara Timur; PA Papua; PB Papua Barat; PD Papua Barat Daya; PE Papua Pegunungan; PS Papua
   Selatan; PT Papua Tengah; RI Riau; SA Sulawesi Utara; SB Sumatera Barat; SG Sulawesi
   Tenggara; SN Sulawesi Selatan; SR Sulawesi Barat; SS Sumatera Selatan; ST Sulawesi Tengah; SU
   Sumatera Utara; YO Yogyakarta
in AN Andaman and Nicobar Islands; AP Andhra Pradesh; AR Arunachal Pradesh; AS Assam; BR Bihar;
   CG Chhattisgarh; CH Chandigarh; DH Dadra and Nagar Haveli and Daman and Diu; DL Delhi; GA
   Goa; GJ Gujarat; HP Himachal Pradesh; HR Haryana; JH Jharkhand; JK Jammu and Kashmir; KA
   Karnataka; KL Kerala; LA Ladakh; LD Lakshadweep; MH Maharashtra; ML Meghalaya; MN Manipur; MP
   Madhya Pradesh; MZ Mizoram; NL Nagaland; OD Odisha; PB Punjab; PY Puducherry; RJ Rajasthan;
   SK Sikkim; TN Tamil Nadu; TR Tripura; TS Telangana; UK Uttarakhand; UP Uttar Pradesh; WB West
   Bengal
it 21 Piemonte; 23 Valle d'Aosta; 25 Lombardia; 32 Trentino-Alto Adige; 34 Veneto; 36 Friuli
   Venezia Giulia; 42 Liguria; 45 Emilia-Romagna; 52 Toscana; 55 Umbria; 57 Marche; 62 Lazio; 65
   Abruzzo; 67 Molise; 72 Campania; 75 Puglia; 77 Basilicata; 78 Calabria; 82 Sicilia; 88
   Sardegna
ke 01 Baringo; 02 Bomet; 03 Bungoma; 04 Busia; 05 Elgeyo/Marakwet; 06 Embu; 07 Garissa; 08 Homa
   Bay; 09 Isiolo; 10 Kajiado; 11 Kakamega; 12 Kericho; 13 Kiambu; 14 Kilifi; 15 Kirinyaga; 16
   Kisii; 17 Kisumu; 18 Kitui; 19 Kwale; 20 Laikipia; 21 Lamu; 22 Machakos; 23 Makueni; 24
   Mandera; 25 Marsabit; 26 Meru; 27 Migori; 28 Mombasa; 29 Murang'a; 30 Nairobi City; 31
   Nakuru; 32 Nandi; 33 Narok; 34 Nyamira; 35 Nyandarua; 36 Nyeri; 37 Samburu; 38 Siaya; 39
   Taita/Taveta; 40 Tana River; 41 Tharaka-Nithi; 42 Trans Nzoia; 43 Turkana; 44 Uasin Gishu; 45
   Vihiga; 46 Wajir; 47 West Pokot
my 01 Johor; 02 Kedah; 03 Kelantan; 04 Melaka; 05 Negeri Sembilan; 06 Pahang; 07 Pulau Pinang;
   08 Perak; 09 Perlis; 10 Selangor; 11 Terengganu; 12 Sabah; 13 Sarawak; 14 Kuala Lumpur; 15
   Labuan; 16 Putrajaya
ng AB Abia; AD Adamawa; AK Akwa Ibom; AN Anambra; BA Bauchi; BE Benue; BO Borno; BY Bayelsa; CR
   Cross River; DE Delta; EB Ebonyi; ED Edo; EK Ekiti; EN Enugu; FC Abuja Federal Capital
   Territory; GO Gombe; IM Imo; JI Jigawa; KD Kaduna; KE Kebbi; KN Kano; KO Kogi; KT Katsina; KW
   Kwara; LA Lagos; NA Nasarawa; NI Niger; OG Ogun; ON Ondo; OS Osun; OY Oyo; PL Plateau; RI
   Rivers; SO Sokoto; TA Taraba; YO Yobe; ZA Zamfara
nz AUK Auckland; BOP Bay of Plenty; CAN Canterbury; CIT Chatham Islands; GIS Gisborne; HKB
   Hawke's Bay; MBH Marlborough; MWT Manawatū-Whanganui; NSN Nelson; NTL Northland; OTA Otago;
   STL Southland; TAS Tasman; TKI Taranaki; WGN Wellington; WKO Waikato; WTC West Coast
us AL Alabama; AK Alaska; AZ Arizona; AR Arkansas; CA California; CO Colorado; CT Connecticut;
   DE Delaware; DC District of Columbia; FL Florida; GA Georgia; HI Hawaii; ID Idaho; IL
   Illinois; IN Indiana; IA Iowa; KS Kansas; KY Kentucky; LA Louisiana; ME Maine; MD Maryland;
   MA Massachusetts; MI Michigan; MN Minnesota; MS Mississippi; MO Missouri; MT Montana; NE
   Nebraska; NV Nevada; NH New Hampshire; NJ New Jersey; NM New Mexico; NY New York; NC North
   Carolina; ND North Dakota; OH Ohio; OK Oklahoma; OR Oregon; PA Pennsylvania; RI Rhode Island;
   SC South Carolina; SD South Dakota; TN Tennessee; TX Texas; UT Utah; VT Vermont; VA Virginia;
   WA Washington; WV West Virginia; WI Wisconsin; WY Wyoming
za EC Eastern Cape; FS Free State; GP Gauteng; KZN KwaZulu-Natal; LP Limpopo; MP Mpumalanga; NC
   Northern Cape; NW North West; WC Western Cape
"""


def _countries() -> dict[str, Country]:
    rows = (line.split(" ", 2) for line in _COUNTRIES.strip().splitlines())
    found = {code: Country(name, dialling.strip("-")) for code, dialling, name in rows}
    return dict(sorted(found.items(), key=lambda row: row[1].name))


def _states() -> dict[str, dict[str, str]]:
    found = {}
    for block in _PARTS.strip().replace("\n   ", " ").splitlines():
        country, _, rows = block.partition(" ")
        pairs = (row.split(" ", 1) for row in rows.split("; "))
        found[country] = dict(sorted(((code, name) for code, name in pairs), key=lambda p: p[1]))
    return found


COUNTRIES: Mapping[str, Country] = _countries()
"""Countries by two-letter code (ISO 3166-1, in lower case), in the order of their names."""

STATES: Mapping[str, Mapping[str, str]] = _states()
"""States or provinces by country: name by code, in the order of their names."""


def check_country(code: str | None, field: str) -> None:
    """Raise `InputValidationFailed` for this field if its value is not a country's code."""
    if code is not None and code not in COUNTRIES:
        raise input_validation_failed(
            {field: "This is not a country code. residence_list lists them all."}
        )
